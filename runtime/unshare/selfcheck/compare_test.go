//go:build compare

package selfcheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/probe"
)

// contestant runs argv in root, with the runtime's own defaults.
type contestant struct {
	name string
	run  func(t *testing.T, root string, argv []string) *exec.Cmd
}

var contestants = []contestant{
	{"unshare + chroot", func(_ *testing.T, root string, argv []string) *exec.Cmd {
		script := `mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`
		return exec.Command("unshare", append([]string{"-n", "-u", "-p", "-f", "-m", "sh", "-c", script, root}, argv...)...)
	}},
	{"systemd-nspawn", func(_ *testing.T, root string, argv []string) *exec.Cmd {
		return exec.Command("systemd-nspawn", append([]string{"-q", "--register=no", "--keep-unit", "--pipe", "-D", root, "--"}, argv...)...)
	}},
	{"runc", bundled("runc")},
	{"crun", bundled("crun")},
}

// bundled runs `spec` for the default configuration and changes what has to be: program, no terminal, a writable root.
func bundled(name string) func(t *testing.T, root string, argv []string) *exec.Cmd {
	return func(t *testing.T, root string, argv []string) *exec.Cmd {
		dir := t.TempDir()
		spec := exec.Command(name, "spec")
		spec.Dir = dir
		if out, err := spec.CombinedOutput(); err != nil {
			t.Fatalf("%s spec: %v %s", name, err, out)
		}
		path := filepath.Join(dir, "config.json")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var c map[string]any
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatal(err)
		}
		process := c["process"].(map[string]any)
		process["terminal"], process["args"], process["cwd"] = false, argv, "/"
		if caps, ok := process["capabilities"].(map[string]any); ok { // so that the helper can become the site's user
			for set, list := range caps {
				if set == "bounding" || set == "effective" || set == "permitted" {
					caps[set] = append(list.([]any), "CAP_SETUID", "CAP_SETGID")
				}
			}
		}
		c["root"] = map[string]any{"path": root, "readonly": false}
		if b, err = json.Marshal(c); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "crun" { // which knows no host with both versions of cgroups: it sees one without the second
			const script = `umount /sys/fs/cgroup/unified 2>/dev/null; exec crun --cgroup-manager=disabled run -b "$0" "$1"`
			return exec.Command("unshare", "-m", "sh", "-c", script, dir, "ppcompare-"+newID())
		}
		return exec.Command(name, "run", "-b", dir, "ppcompare-"+newID())
	}
}

// ownOnly are probes about petitpont's own programs, or about a network that the others' defaults do not have.
var ownOnly = []string{"inside init", "inside a session", "overwriting our program", "neighbour's server", "host's services", "closed addresses"}

func fair(p probe.Probe) bool { return !p.Seen && !slices.Contains(ownOnly, p.Name) }

// TestCompare runs the same program with the same root file system under each runtime, and prints a table of how many
// probes each blocks. It needs runc, crun and systemd-nspawn: e2e/bench/isolation.sh installs them.
func TestCompare(t *testing.T) {
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil { // what our own caller left open is nobody's fault
		t.Fatal(err)
	}
	can, err := setCanaries("scmp")
	if err != nil {
		t.Fatal(err)
	}
	defer can.remove()
	w := can.world
	w.HostDisk = filepath.Join(can.dir, "disk.img")
	if err := os.WriteFile(w.HostDisk, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	loop, err := exec.Command("losetup", "-f", "--show", w.HostDisk).Output() // somebody's disk, to be found in /sys
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = exec.Command("losetup", "-d", strings.TrimSpace(string(loop))).Run() }()
	w.Prepared = "/petitpont-setuid"
	w.Limits = probe.Limits{Memory: told.Memory, Disk: told.Disk, Inodes: told.Inodes, Tmp: tmp, Procs: told.Procs, CPU: told.CPU, Files: files, Terminals: terminals, Watchers: watchers, Queues: queues}
	var names []string
	for _, p := range probe.All() {
		if fair(p) {
			names = append(names, p.Name)
		}
	}
	rows := map[string]Report{"petitpont": open(t, "box", "init", nil).check(t, nil, names...)}
	order := []string{"petitpont"}
	for _, c := range contestants {
		root := compareRoot(t)
		order = append(order, c.name)
		if asRoot, asWeb := c.try(t, root, w, names, 0), c.try(t, root, w, names, 1000); asRoot != nil && asWeb != nil {
			rows[c.name] = Config{Only: names}.report(asRoot, asWeb)
		}
	}
	fmt.Print(table(rows, order))
}

func (c contestant) try(t *testing.T, root string, w probe.World, names []string, uid int) map[string]probe.Finding {
	t.Helper()
	in, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	cmd := c.run(t, root, append([]string{"/as", fmt.Sprint(uid), "/petitpont-box", "probe", "all"}, names...))
	var out, words bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &words
	err = cmd.Run()
	var found []probe.Finding
	if jerr := json.Unmarshal(out.Bytes(), &found); jerr != nil {
		t.Logf("%s as %d: %v, %v: %s", c.name, uid, err, jerr, words.String())
		return nil
	}
	by := map[string]probe.Finding{}
	for _, f := range found {
		by[f.Name] = f
	}
	return by
}

func compareRoot(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "rootfs")
	for _, d := range []string{"etc", "tmp", "run", "proc", "sys", "dev", "root", "usr/bin", "var/tmp", "home/site"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"box": "petitpont-box", "as": "as"} {
		b, err := os.ReadFile(filepath.Join(programs, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, to), b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/os-release"), []byte("ID=tiny\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"", "tmp", "home/site"} {
		if err := os.Chmod(filepath.Join(root, d), map[bool]os.FileMode{true: 0o755, false: 0o777 | os.ModeSticky}[d == ""]); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// table is Markdown: probes blocked, by kind, and the names of those that were not.
func table(rows map[string]Report, order []string) string {
	kinds := []probe.Kind{probe.Escape, probe.Surface, probe.Leak, probe.Neighbour, probe.Budget}
	var b strings.Builder
	b.WriteString("| runtime | all |")
	for _, k := range kinds {
		fmt.Fprintf(&b, " %s |", k)
	}
	b.WriteString("\n|---|---|---|---|---|---|---|\n")
	for _, name := range order {
		r, ran := rows[name]
		if !ran {
			fmt.Fprintf(&b, "| %s | did not run here | | | | | |\n", name)
			continue
		}
		fmt.Fprintf(&b, "| %s | %d of %d |", name, r.held(), len(r.Probes))
		for _, k := range kinds {
			held, all := 0, 0
			for _, l := range r.Probes {
				if l.Kind == string(k) {
					all++
					if !l.Red() {
						held++
					}
				}
			}
			fmt.Fprintf(&b, " %d/%d |", held, all)
		}
		b.WriteString("\n")
	}
	for _, name := range order {
		fmt.Fprintf(&b, "\n%s lets through:", name)
		for _, l := range rows[name].Probes {
			if l.Red() {
				fmt.Fprintf(&b, " %s,", l.Name)
				if testing.Verbose() {
					fmt.Fprintf(&b, " (root %s %s, web %s %s)", l.Root, l.RootGot, l.Web, l.WebGot)
				}
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
