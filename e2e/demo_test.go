package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"petitpont/runtime/unshare/template/templatetest"
)

// bin is where TestMain built the product.
var bin string

// templates is the folder with the template, kept between runs: building it is a test of its own, in
// runtime/unshare/template.
var templates = sync.OnceValues(templatetest.Prepare)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e makes real containers and needs root: run make test")
		os.Exit(1)
	}
	os.Exit(buildAndRun(m))
}

// buildAndRun builds the product first, unless PETITPONT_BIN says where it has been built: the guest machine of e2e/vm
// has no Go.
func buildAndRun(m *testing.M) int {
	if bin = os.Getenv("PETITPONT_BIN"); bin != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "petitpont-e2e")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil { // serve runs as somebody else
		panic(err)
	}
	cmd := exec.Command("make", "-C", "..", "build", "BIN="+dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	bin = dir
	return m.Run()
}

// Demo is one running `petitpont demo` with everything of its own: folder, ports, addresses, label.
type Demo struct {
	Data, Instance     string
	Panel, Sites, Gate int
	LDAP               string   // file of a directory of its own; "" is the demo's
	bin                string   // folder of its programs
	through            []string // command that runs it; nil is none
	network            string
	cmd                *exec.Cmd
	ended              chan struct{}
}

// newDemo picks a label, a network and ports that nothing on this machine has, so that two runs of these tests do not
// meet, and one that was killed is in nobody's way.
func newDemo(data string) (*Demo, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	block, err := freeBlock()
	if err != nil {
		return nil, err
	}
	d := &Demo{
		bin: bin, Data: data, Instance: "e" + strings.ToLower(rand.Text()[:7]), network: block.String(),
		Panel: ports[0], Sites: ports[1], Gate: ports[2],
	}
	from, err := templates()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o711); err != nil {
		return nil, err
	}
	return d, os.Symlink(from, filepath.Join(data, "templates"))
}

// Start runs the demo and returns once it has said that it is running.
func (d *Demo) Start() error {
	argv := slices.Concat(d.through, []string{filepath.Join(d.bin, "petitpont"), "demo"}, d.flags())
	d.cmd = exec.Command(argv[0], argv[1:]...)
	d.cmd.Stderr = os.Stderr
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	running := make(chan struct{})
	d.ended = make(chan struct{})
	go func() {
		defer close(d.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "petitpont is running") {
				close(running)
			}
		}
		_ = d.cmd.Wait()
	}()
	select {
	case <-running:
		return nil
	case <-d.ended:
		return fmt.Errorf("demo ended before it ran: %s\n%s", d.cmd.ProcessState, d.Log())
	}
}

// flags give the demo everything of its own.
func (d *Demo) flags() []string {
	return []string{
		"--data", d.Data, "--instance", d.Instance, "--network", d.network, "--ldap", d.LDAP,
		"--panel-port", strconv.Itoa(d.Panel), "--sites-port", strconv.Itoa(d.Sites), "--ssh-port", strconv.Itoa(d.Gate),
	}
}

// Stop is Ctrl+C. It returns once the demo has ended and says how.
func (d *Demo) Stop() error {
	if d.cmd == nil {
		return nil
	}
	defer func() { d.cmd = nil }()
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	<-d.ended
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("demo ended with %d\n%s", code, d.Log())
	}
	return nil
}

// Log is what the demo's processes wrote.
func (d *Demo) Log() string {
	text, _ := os.ReadFile(filepath.Join(d.Data, "petitpont.log"))
	if len(text) > 4000 {
		text = text[len(text)-4000:]
	}
	return string(text)
}

// Member finds the process id of serve, runtime or directory by its parent and its arguments.
func (d *Demo) Member(name string) (int, error) {
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, file := range children {
		text, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(text)) {
			args, _ := os.ReadFile("/proc/" + field + "/cmdline")
			if words := strings.Split(string(args), "\x00"); len(words) > 1 && words[1] == name {
				return strconv.Atoi(field)
			}
		}
	}
	return 0, fmt.Errorf("no process %s under the demo", name)
}

// demoFor starts a demo that ends with the test, and checks that it left nothing behind.
func demoFor(t *testing.T) *Demo {
	t.Helper()
	d, err := newDemo(filepath.Join(openTempDir(t), "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
		for _, left := range d.Leftovers() {
			t.Errorf("left behind: %s", left)
		}
	})
	return d
}

// openTempDir is a t.TempDir that another user may pass through.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		_ = os.Chmod(p, 0o755)
	}
	return dir
}

// eventually waits for a fact, and says what was missing when it does not come.
func eventually(t testing.TB, what string, within time.Duration, fact func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fact()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: still not after %s: %v", what, within, err)
		case <-tick.C:
		}
	}
}
