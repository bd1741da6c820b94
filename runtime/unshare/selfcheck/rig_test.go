package selfcheck

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/unshare"
	"petitpont/runtime/unshare/network"
	"petitpont/runtime/unshare/template"
)

// The first thread stays the test's own: /proc/self/ns/net shows its namespace.
func init() { goruntime.LockOSThread() }

var programs string

// TestMain runs everything in a network namespace of its own: it is the "host", whose rules tests take down.
func TestMain(m *testing.M) {
	if os.Getenv("SELFCHECK_TEST_INSIDE") != "" {
		os.Exit(inside(m))
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), "SELFCHECK_TEST_INSIDE=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests need root:", err)
		os.Exit(1)
	}
}

func inside(m *testing.M) int {
	if dir := os.Getenv("SELFCHECK_PROGRAMS"); dir != "" { // on a machine without a compiler
		programs = dir
		prepareHost()
		return m.Run()
	}
	dir, err := os.MkdirTemp("/var/tmp", "petitpont-selfcheck-programs-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	buildAll(dir)
	prepareHost()
	programs = dir
	return m.Run()
}

func buildAll(dir string) {
	box := []string{"go", "build", "-trimpath", "-ldflags=-s -w", "-o"}
	initC := filepath.Join("..", "init", "init.c")
	build(append(box, filepath.Join(dir, "box"), "petitpont/cmd/petitpont-box")...)
	build(append(box, filepath.Join(dir, "box-weak"), "-tags=weaken", "petitpont/cmd/petitpont-box")...)
	build(append(box, filepath.Join(dir, "box-open"), "-tags=weaken,openSessions", "petitpont/cmd/petitpont-box")...)
	build(append(box, filepath.Join(dir, "serve"), "./testdata/serve")...)
	build(append(box, filepath.Join(dir, "as"), "./testdata/as")...)
	for name, without := range map[string]string{"init": "NOTHING", "init-seen": "WITHOUT_HIDING", "init-open": "WITHOUT_CLOSING"} {
		build("gcc", "-static", "-Os", "-D"+without, "-o", filepath.Join(dir, name), initC)
	}
}

// prepareHost gives the tests' own network a way out, with addresses that stand for the world.
func prepareHost() {
	for _, argv := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "world", "type", "veth", "peer", "name", "world1"},
		{"link", "set", "world", "up"},
		{"link", "set", "world1", "up"},
		{"addr", "add", "169.254.169.254/32", "dev", "world"},
		{"addr", "add", "192.0.2.7/32", "dev", "world"},
		{"addr", "add", "2001:db8::7/128", "dev", "world", "nodad"},
		{"route", "add", "default", "dev", "world"},
	} {
		build(append([]string{"ip"}, argv...)...)
	}
}

func build(argv ...string) {
	c := exec.Command(argv[0], argv[1:]...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%s: %v\n%s", strings.Join(argv, " "), err, out))
	}
}

// rig is a driver with a network of its own and a template of one static program.
type rig struct {
	*unshare.Driver
	c      unshare.Config
	net    *network.Network
	once   sync.Once
	before func() // before the first attack, when both sites stand
}

func (r *rig) RunBox(ctx context.Context, id string, argv []string, root bool) (runtime.Process, error) {
	r.once.Do(func() {
		if r.before != nil {
			r.before()
		}
	})
	return r.Driver.RunBox(ctx, id, argv, root)
}

// lan is a network, under a label that no other run of these tests has: cgroups and loop devices are the machine's.
type lan struct {
	*network.Network
	instance string
}

// The blocks of two networks that stand at once.
const wholeBlock, ownBlock = "10.77.0.0/18", "10.78.0.0/18"

func openNetwork(t testing.TB, block string) lan {
	t.Helper()
	all, err := network.DefaultSegments(netip.MustParsePrefix(block))
	if err != nil {
		t.Fatal(err)
	}
	l := lan{instance: "s" + strings.ToLower(rand.Text()[:7])}
	if l.Network, err = network.Open(network.Config{Instance: l.instance, Segments: all[:1], Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error("close network:", err)
		}
	})
	return l
}

// open makes a driver with a network that is taken down with it.
func open(t testing.TB, box, init string, weaken []string) *rig {
	t.Helper()
	return openIn(t, openNetwork(t, ownBlock), box, init, weaken)
}

func openIn(t testing.TB, l lan, box, init string, weaken []string) *rig {
	t.Helper()
	r := &rig{net: l.Network, c: unshare.Config{
		Data: t.TempDir(), Run: t.TempDir(), Instance: l.instance, Box: filepath.Join(programs, box), Init: filepath.Join(programs, init),
		Reserve: 1 << 20, Log: slog.New(slog.DiscardHandler), Weaken: weaken,
	}}
	r.c.Network = r.net
	makeTemplate(t, filepath.Join(r.c.Data, "templates"))
	d, err := unshare.Open(r.c)
	if err != nil {
		t.Fatal(err)
	}
	r.Driver = d
	t.Cleanup(func() {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error("shut down:", err)
		}
	})
	return r
}

// makeTemplate publishes a root file system that holds one program.
func makeTemplate(t testing.TB, dir string) {
	t.Helper()
	version := filepath.Join(dir, "tiny", "20260101-1")
	root := filepath.Join(version, "rootfs")
	for _, d := range []string{"etc", "tmp", "run", "proc", "sys", "dev", "root", "var/tmp", "usr/bin", "home/site/www"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m, err := json.Marshal(template.Manifest{Name: "tiny", Version: "20260101-1", BuiltAt: time.Now(), Services: map[string]runtime.Service{
		"serve": {Argv: []string{"/usr/bin/serve"}, User: "root", Stop: "TERM"},
	}})
	program, err2 := os.ReadFile(filepath.Join(programs, "serve"))
	if err := errors.Join(err, err2,
		os.WriteFile(filepath.Join(version, "manifest.json"), m, 0o644),
		os.WriteFile(filepath.Join(root, "usr/bin/serve"), program, 0o755),
		os.WriteFile(filepath.Join(root, sharedFiles[0]), []byte("tiny\n"), 0o644),
		os.WriteFile(filepath.Join(root, sharedFiles[1]), []byte("tiny\n"), 0o644),
		os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nsite:x:1000:1000::/home/site:/bin/sh\n"), 0o644),
		os.Chown(filepath.Join(root, "home/site"), 1000, 1000), os.Chown(filepath.Join(root, "home/site/www"), 1000, 1000)); err != nil {
		t.Fatal(err)
	}
}

// check runs the self-check over the rig.
func (r *rig) check(t testing.TB, grant func(runtime.Limits) runtime.Limits, only ...string) Report {
	t.Helper()
	report, err := Run(t.Context(), Config{
		Driver: r, Template: r.rootfs(), Instance: r.c.Instance, Version: "test", Only: only, Grant: grant,
		Spec:   runtime.Spec{Template: "tiny", Segment: "student", Services: []string{"serve"}},
		Closed: []string{listening(t, "169.254.169.254:0"), listening(t, "192.0.2.7:0"), listening(t, "[2001:db8::7]:0")},
		Disk:   func(id string) string { return filepath.Join(r.c.Data, "sites", id, "disk.img") },
		Addr: func(slot int) (Addr, error) {
			a, err := r.net.Addr("student", slot)
			return Addr{V4: a.V4, V6: a.V6, MAC: a.MAC}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (r *rig) rootfs() string {
	return filepath.Join(r.c.Data, "templates", "tiny", "20260101-1", "rootfs")
}

func listening(t testing.TB, addr string) string {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func (r Report) line(name string) Line {
	i := slices.IndexFunc(r.Probes, func(l Line) bool { return l.Name == name })
	return r.Probes[i]
}
