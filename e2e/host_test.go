package e2e

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The demo is the first thing anybody runs, on a machine that nobody prepared for it.

// bare is a demo without a template, whose data folder does not exist yet.
func bare(t *testing.T) *Demo {
	t.Helper()
	d, err := newDemo(filepath.Join(openTempDir(t), "prepared"))
	if err != nil {
		t.Fatal(err)
	}
	d.Data = filepath.Join(openTempDir(t), "data")
	return d
}

func TestAMachineThatCannotIsToldSoInOneSentenceAndLeftAlone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct {
		before  string // shell commands, in a mount namespace of their own, that take something away
		through []string
		port    int
		want    string
	}{
		"not root":            {through: []string{"setpriv", "--reuid=64991", "--clear-groups"}, want: "has to start as root"},
		"root of a container": {through: []string{"setpriv", "--bounding-set=-sys_admin"}, want: "no CAP_SYS_ADMIN"},
		"no user namespaces":  {through: []string{"unshare", "--user", "--map-root-user"}, before: "echo 0 >/proc/sys/user/max_user_namespaces", want: "namespaces are switched off"},
		"namespaces in a box": {through: []string{"unshare", "--user", "--map-root-user"}, want: "user namespaces, as inside a container"},
		"no nft":              {through: []string{"unshare", "--mount"}, before: "mount --bind /dev/null $(command -v nft)", want: "apt install nftables"},
		"no cgroups":          {through: []string{"unshare", "--mount"}, before: "umount -R -l /sys/fs/cgroup", want: "cgroup controller"},
		"no sysctls":          {through: []string{"unshare", "--mount"}, before: "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys", want: "cannot fence sites in"},
		"no room":             {through: []string{"unshare", "--mount"}, before: "mount -t tmpfs -o size=300M none $(dirname $DATA)", want: "has 300 MB free"},
		"no network":          {through: []string{"unshare", "--net"}, before: "ip link set lo up", want: "the Debian archive this machine uses"},
		"a port is taken":     {port: taken.Addr().(*net.TCPAddr).Port, want: "is taken by another program: give the panel another port with --panel-port"},
	} {
		t.Run(name, func(t *testing.T) {
			d := bare(t)
			if c.port != 0 {
				d.Panel = c.port
			}
			script := "PATH=$PATH:/usr/sbin:/sbin; " + c.before + "\n" + `exec "$@"`
			argv := append(append(c.through, "sh", "-ec", script, "sh", filepath.Join(bin, "petitpont"), "demo"), d.flags()...)
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Env = append(os.Environ(), "DATA="+d.Data)
			out, err := cmd.CombinedOutput()
			if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("want exit code 1: %v", err)
			}
			said := strings.TrimSpace(string(out))
			if !strings.HasPrefix(said, "petitpont: ") || !strings.Contains(said, c.want) || strings.Contains(said, "\n") {
				t.Errorf("want one sentence about %q:\n%s", c.want, out)
			}
			if _, err := os.Stat(d.Data); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the data folder was made: %v", err)
			}
			for _, left := range d.Leftovers() {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

// TestADemoRunsOnABareMachine: Debian closes the homes of people and of root, where a clone usually is; some people's
// umask closes all that they make; su leaves sbin out of PATH; the smallest Debian has no /etc/protocols; IPv6 may be
// off.
func TestADemoRunsOnABareMachine(t *testing.T) {
	closed := t.TempDir()
	if out, err := exec.Command("cp", "-r", bin, closed).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := newDemo(filepath.Join(openTempDir(t), "data"))
	if err != nil {
		t.Fatal(err)
	}
	bare := `umask 077
		ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
		test ! -e /etc/protocols || mount --bind /dev/null /etc/protocols
		exec env -i PATH=/usr/bin:/bin "$@"`
	d.through = []string{"unshare", "--mount", "--net", "sh", "-ec", bare, "sh"}
	d.bin = filepath.Join(closed, filepath.Base(bin))
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
}

// TestCtrlCDuringTheFirstBuildIsNoError and leaves nothing, so that the next start begins afresh.
func TestCtrlCDuringTheFirstBuildIsNoError(t *testing.T) {
	d := bare(t)
	cmd := exec.Command(filepath.Join(bin, "petitpont"), append([]string{"demo"}, d.flags()...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "downloading packages") {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) // as a terminal sends it: to all
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if !strings.Contains(said.String(), "Ended before the template was ready") || strings.Contains(said.String(), "petitpont:") {
		t.Errorf("it said:\n%s", said.String())
	}
	for _, left := range d.Leftovers() {
		t.Errorf("left behind: %s", left)
	}
	if parts, _ := filepath.Glob(filepath.Join(d.Data, "templates", "*")); len(parts) > 0 {
		t.Errorf("left of the build: %v", parts)
	}
}
