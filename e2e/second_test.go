package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A second demo takes what the first one runs for leftovers of a dead one: it must not come that far.
func TestASecondDemoIsRefusedAndTouchesNothing(t *testing.T) {
	d := demoFor(t)
	elsewhere := filepath.Join(openTempDir(t), "data")
	for name, flags := range map[string][]string{
		"the same command":    {"--data", d.Data, "--instance", d.Instance},
		"the same data":       {"--data", d.Data, "--instance", "ppother"},
		"the same label":      {"--data", elsewhere, "--instance", d.Instance},
		"a sweep by the side": nil,
	} {
		args := append([]string{"demo", "--network", d.network, "--panel-port", strconv.Itoa(d.Panel)}, flags...)
		want := "a demo runs here already"
		if flags == nil {
			args, want = []string{"runtime", "--sweep", "--config", filepath.Join(d.Data, "petitpont.toml")}, "in use by another process"
		}
		out, err := exec.Command(filepath.Join(bin, "petitpont"), args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if strings.Contains(d.Log(), "ended") {
		t.Errorf("a member of the first demo ended:\n%s", d.Log())
	}
	res, err := http.Get("http://localhost:" + strconv.Itoa(d.Panel) + "/login")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the first demo's panel answers %d", res.StatusCode)
	}
	if _, err := os.Stat(filepath.Join("/run", d.Instance, "runtime.sock")); err != nil {
		t.Error(err)
	}
}

// A demo that was killed leaves its directory's address behind; the next one must not believe it.
func TestADemoStartsAgainAfterKill9(t *testing.T) {
	d := demoFor(t)
	var members []int
	for _, name := range []string{"directory", "runtime", "serve"} {
		pid, err := d.Member(name)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, pid)
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.ended
	for _, pid := range members { // each is told by the kernel, and lets go of the ports
		eventually(t, "the end of a member", time.Minute, func() error {
			// An ended one may stay as a zombie: who inherits orphans here need not reap them.
			if _, state, _ := strings.Cut(read(fmt.Sprintf("/proc/%d/stat", pid)), ") "); state != "" && !strings.HasPrefix(state, "Z") {
				return fmt.Errorf("%d is alive", pid)
			}
			return nil
		})
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
}

// TestADemoOpensAFolderThatWasLeftClosed because the unprivileged half has to pass through it.
func TestADemoOpensAFolderThatWasLeftClosed(t *testing.T) {
	d, err := newDemo(filepath.Join(openTempDir(t), "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join("/run", d.Instance), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, left := range d.Leftovers() {
		t.Errorf("left behind: %s", left)
	}
}
