package selfcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"petitpont/runtime"
	"petitpont/runtime/unshare"
	"petitpont/runtime/unshare/probe"
)

func TestEveryWallHolds(t *testing.T) {
	r := open(t, "box", "init", nil)
	report := r.check(t, nil)
	for _, l := range report.Probes {
		if l.Red() {
			t.Errorf("%s: root %s %s, web user %s %s", l.Name, l.Root, l.RootGot, l.Web, l.WebGot)
		}
	}
	if !report.OK || len(report.Probes) < 35 {
		t.Errorf("ok %v with %d probes", report.OK, len(report.Probes))
	}
	var b bytes.Buffer
	if err := report.Table(&b); err != nil || !strings.Contains(b.String(), fmt.Sprintf("%d of %[1]d probes blocked", len(report.Probes))) {
		t.Errorf("the table ends with %q, %v", b.String()[max(0, b.Len()-100):], err)
	}
}

// TestEachProbeSeesItsWallMissing is the heart: every probe goes red when its wall is left out, together with those
// that it names as standing behind it; and it stays green as long as its own wall stands alone.
func TestEachProbeSeesItsWallMissing(t *testing.T) {
	groups := map[string][]string{}
	for _, p := range probe.All() {
		groups[strings.Join(walls(p), "+")] = append(groups[strings.Join(walls(p), "+")], p.Name)
	}
	whole := openNetwork(t, wholeBlock)
	for key, names := range groups {
		t.Run(key, func(t *testing.T) {
			report := without(t, whole, strings.Split(key, "+"), names)
			for _, name := range names {
				l := report.line(name)
				if l.Root != Open && l.Web != Open && !absent(t, name) {
					t.Errorf("%s did not notice: root %s %s, web user %s %s", name, l.Root, l.RootGot, l.Web, l.WebGot)
				}
			}
		})
	}
}

// TestAWallAloneHolds leaves out only what stands behind: the wall that a probe names must hold by itself.
func TestAWallAloneHolds(t *testing.T) {
	whole := openNetwork(t, wholeBlock)
	for _, p := range probe.All() {
		if len(p.Also) == 0 {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			also := slices.Sorted(slices.Values(p.Also))
			if l := without(t, whole, also, []string{p.Name}).line(p.Name); l.Red() {
				t.Errorf("%s does not hold it by itself: root %s %s, web user %s %s", p.Wall, l.Root, l.RootGot, l.Web, l.WebGot)
			}
		})
	}
}

// absent tells that this kernel was built without what a probe is after: not even the host's root gets there. Only of
// these can that be, and a usual distribution's kernel has them all.
func absent(t *testing.T, name string) bool {
	if name == probe.Modules {
		_, err := os.Stat("/proc/modules")
		return errors.Is(err, os.ErrNotExist)
	}
	if !slices.Contains([]string{"load a module", "kexec", "kernel memory"}, name) {
		return false
	}
	got, err := probe.Here(name, probe.World{})
	t.Logf("%s: as the host's root %q, %v", name, got, err)
	return got == "" && err == nil
}

func walls(p probe.Probe) []string {
	return slices.Sorted(slices.Values(append([]string{p.Wall}, p.Also...)))
}

// without runs probes against sites that lack these walls. Their network is whole, unless it is what has to be taken down:
// then they have one of their own.
func without(t *testing.T, whole lan, walls, names []string) Report {
	t.Helper()
	box, init, big := "box-weak", "init", false
	var left, rules []string
	for _, w := range walls {
		switch {
		case w == "hidden sessions":
			box = "box-open"
		case w == "hidden init":
			init = "init-seen"
		case w == "closed descriptors":
			init = "init-open"
		case strings.HasPrefix(w, "limit of "):
			big = true
		case strings.HasPrefix(w, "rules of") || w == "isolated ports":
			rules = append(rules, w)
		default:
			left = append(left, w)
		}
	}
	if len(rules) > 0 {
		whole = openNetwork(t, ownBlock)
	}
	r := openIn(t, whole, box, init, left)
	if slices.Contains(names, probe.Modules) {
		t.Cleanup(func() { unload(t) })
	}
	if slices.Contains(left, "network namespace") {
		r.standIn(t)
	}
	r.before = func() { r.takeDown(t, rules) }
	if slices.Contains(names, probe.Modules) {
		unload(t)
	}
	var grant func(runtime.Limits) runtime.Limits
	if big {
		grant = func(l runtime.Limits) runtime.Limits {
			return runtime.Limits{Disk: 4 * l.Disk, Inodes: 4 * l.Inodes, Memory: 8 * l.Memory, CPU: 8 * l.CPU, Procs: 8 * l.Procs}
		}
	}
	if slices.Contains(walls, "limit of cpu") { // so little that also on a busy machine everybody gets more
		defer func(usual int) { told.CPU = usual }(told.CPU)
		told.CPU = 30
	}
	return r.check(t, grant, names...)
}

// takeDown removes rules in the kernel, where nobody asks the program.
func (r *rig) takeDown(t *testing.T, rules []string) {
	for _, w := range rules {
		switch w {
		case "rules of the bridge":
			run(t, "nft", "delete", "table", "bridge", r.c.Instance)
		case "rules of the host":
			run(t, "nft", "delete", "table", "inet", r.c.Instance)
		case "isolated ports":
			cards, err := net.Interfaces()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cards {
				if strings.HasPrefix(c.Name, r.c.Instance+"-") {
					run(t, "bridge", "link", "set", "dev", c.Name, "isolated", "off")
				}
			}
		}
	}
}

// before are the modules that were there when the tests began. Not ours to unload.
var before = loadedModules()

// unload takes away the modules that a test with an open wall has had the kernel load.
func unload(t *testing.T) {
	for name := range loadedModules() {
		if _, old := before[name]; !old && slices.Contains(probe.Loadable, name) {
			out, err := exec.Command("modprobe", "-r", name).CombinedOutput()
			t.Logf("unload %s: %v %s", name, err, out) // one that another one needs goes with that one
		}
	}
}

// standIn gives the host the first site's addresses, for a site that shares the host's network.
func (r *rig) standIn(t *testing.T) {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0); err != nil { // of the tests' own network
		t.Fatal(err)
	}
	for slot := range 2 {
		a, err := r.net.Addr("student", slot)
		if err != nil {
			t.Fatal(err)
		}
		run(t, "ip", "addr", "add", a.V4.String()+"/32", "dev", "world")
		t.Cleanup(func() { run(t, "ip", "addr", "del", a.V4.String()+"/32", "dev", "world") })
	}
}

func run(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
}

// TestAnInstalledProgramCannotBeWeakened gives the program that is installed a plan with a wall left out.
func TestAnInstalledProgramCannotBeWeakened(t *testing.T) {
	r := open(t, "box", "init", []string{"no_new_privs"})
	err := Config{Driver: r, Spec: runtime.Spec{Template: "tiny", Segment: "student", Services: []string{"serve"}}}.raise(t.Context(),
		Config{Spec: runtime.Spec{Template: "tiny", Segment: "student", Services: []string{"serve"}}}.site(0))
	if err == nil || !strings.Contains(err.Error(), "built for tests") {
		t.Errorf("it answered %v", err)
	}
}

func TestTheReportIsSavedForThePanel(t *testing.T) {
	dir := t.TempDir()
	want := Report{Version: "1", Probes: []Line{{Name: "a", Root: Blocked, Web: Untried, Protection: "w"}}}
	if err := want.Save(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, FileName)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Fatalf("%v %v", info, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"time", "version", "kernel", "ok", "probes"} {
		if _, ok := got[key]; !ok {
			t.Errorf("%s is missing: programs read it", key)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestSilenceIsRed(t *testing.T) {
	r := Config{}.report(map[string]probe.Finding{}, map[string]probe.Finding{})
	if r.OK || r.held() != 0 {
		t.Errorf("%d probes that said nothing count as held", r.held())
	}
}

// everything is a report in which each probe ended like this.
func everything(f probe.Finding) Report {
	found := map[string]probe.Finding{}
	for _, p := range probe.All() {
		f.Name = p.Name
		found[p.Name] = f
	}
	return Config{}.report(found, found)
}

func TestTheTableFitsATerminal(t *testing.T) {
	var b strings.Builder
	if err := everything(probe.Finding{}).Table(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	if strings.Contains(b.String(), "RED") || !strings.Contains(b.String(), fmt.Sprintf("\n%d of %[1]d probes blocked", len(probe.All()))) {
		t.Errorf("all is well, and it says\n%s", b.String())
	}
}

func TestTheTableSaysWhatARedProbeGot(t *testing.T) {
	var b strings.Builder
	r := everything(probe.Finding{Got: "the keys"})
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	if r.OK || !strings.Contains(b.String(), "OPEN") || !strings.Contains(b.String(), "\nRED: bpf (programs in the kernel)\n  root, open: the keys\n  web, open: the keys\n") {
		t.Errorf("it says\n%s", b.String())
	}
}

var _ Driver = (*unshare.Driver)(nil)
