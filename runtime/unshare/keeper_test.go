package unshare

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/unshare/template"
	"petitpont/runtime/unshare/template/templatetest"
)

// keeper is a rig with a templates folder of its own. The root file systems in it are the shared one's.
func keeper(t testing.TB) *rig {
	t.Helper()
	r := open(t)
	shared := templatetest.Web(t)
	if err := errors.Join(os.Remove(r.templates.dir), os.Mkdir(r.templates.dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	newest, err := template.Newest(shared, "web")
	if err != nil {
		t.Fatal(err)
	}
	m, err := template.Read(shared, "web", newest.Version)
	if err != nil {
		t.Fatal(err)
	}
	r.version(t, m, "20260101-1", template.State{Published: true}, filepath.Join(shared, "web", newest.Version, "rootfs"))
	return r
}

// version puts a version into the folder, made of a root file system that is elsewhere.
func (r *rig) version(t testing.TB, m template.Manifest, version string, s template.State, rootfs string) template.Manifest {
	t.Helper()
	dir := filepath.Join(r.templates.dir, m.Name, version)
	m.Version = version
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o644), os.Symlink(rootfs, filepath.Join(dir, "rootfs")),
		template.WriteState(r.templates.dir, m.Name, version, s)); err != nil {
		t.Fatal(err)
	}
	return m
}

func (r *rig) first(t testing.TB) (template.Manifest, string) {
	t.Helper()
	m, err := template.Read(r.templates.dir, "web", "20260101-1")
	if err != nil {
		t.Fatal(err)
	}
	rootfs, err := os.Readlink(filepath.Join(r.templates.dir, "web", "20260101-1", "rootfs"))
	if err != nil {
		t.Fatal(err)
	}
	return m, rootfs
}

func (r *rig) look(t testing.TB, version string) runtime.Version {
	t.Helper()
	all, err := r.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Version == version {
			return v
		}
	}
	return runtime.Version{}
}

func TestAVersionIsTestedThenPublishedThenWhatNewSitesGet(t *testing.T) {
	r := keeper(t)
	m, rootfs := r.first(t)
	r.version(t, m, "20260102-1", template.State{}, rootfs)
	before := r.count(t)
	if err := r.PublishTemplate(t.Context(), "web", "20260102-1"); !errors.Is(err, runtime.ErrUntested) {
		t.Fatal("published without a test:", err)
	}
	old := r.create(t, spec(t, 1))
	if err := r.Move(t.Context(), old.ID, "20260102-1"); !errors.Is(err, runtime.ErrUntested) {
		t.Fatal("moved to a version that is not published:", err)
	}
	var steps []int64
	ctx := runtime.WithBuild(t.Context(), func(b runtime.Build) {
		if b.Step == runtime.BuildTest {
			steps = append(steps, b.Done)
		}
		all, err := r.List(t.Context())
		if err != nil || len(all) != 1 || all[0].ID != old.ID {
			t.Errorf("a throw-away site is shown: %v %v", all, err)
		}
	})
	if err := r.TestTemplate(ctx, "web", "20260102-1"); err != nil {
		t.Fatal(err)
	}
	if len(steps) != len(m.Trials) || len(steps) < 4 {
		t.Errorf("trials reported: %v", steps)
	}
	if v := r.look(t, "20260102-1"); v.TestedAt.IsZero() || v.Fault != "" || v.Published || v.Sites != 0 {
		t.Errorf("%+v", v)
	}
	if err := r.PublishTemplate(t.Context(), "web", "20260102-1"); err != nil {
		t.Fatal(err)
	}
	young := r.create(t, spec(t, 2))
	for version, id := range map[string]string{"20260101-1": old.ID, "20260102-1": young.ID} {
		if v := r.look(t, version); v.Sites != 1 {
			t.Errorf("%s has %d sites", version, v.Sites)
		}
		if err := r.RetireTemplate(t.Context(), "web", version); !errors.Is(err, runtime.ErrInUse) {
			t.Errorf("%s of %s was retired: %v", version, id, err)
		}
	}
	r.destroy(t, old.ID)
	for range 2 { // the second time there is nothing to do
		if err := r.RetireTemplate(t.Context(), "web", "20260101-1"); err != nil {
			t.Error(err)
		}
	}
	if v := r.look(t, "20260101-1"); v.Name != "" {
		t.Errorf("still there: %+v", v)
	}
	if left, err := filepath.Glob(filepath.Join(r.templates.dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	r.destroy(t, young.ID)
	if after := r.count(t); after != before {
		t.Errorf("before the test %+v, after it %+v", before, after)
	}
}

func TestAVersionThatDoesNotAnswerIsNotPublished(t *testing.T) {
	r := keeper(t)
	m, rootfs := r.first(t)
	before := r.count(t)
	for name, broken := range map[string]struct {
		change func(*template.Manifest)
		says   string
	}{
		"20260103-1": {func(m *template.Manifest) { m.Trials[0].Says = "what it never says" }, "what it never says"},
		"20260103-2": {func(m *template.Manifest) {
			m.Services["nginx"] = runtime.Service{Argv: []string{"/bin/sh", "-c", "echo broken nginx; exit 3"}, User: "root", Stop: "TERM"}
		}, "broken nginx"},
		"20260103-3": {func(m *template.Manifest) { m.Trials = nil }, "nothing to try"},
	} {
		var fresh template.Manifest
		text, err := json.Marshal(m)
		if err := errors.Join(err, json.Unmarshal(text, &fresh)); err != nil {
			t.Fatal(err)
		}
		broken.change(&fresh)
		r.version(t, fresh, name, template.State{TestedAt: time.Now()}, rootfs)
		r.Answer = 10 * time.Second
		if err := r.TestTemplate(t.Context(), "web", name); err == nil || !strings.Contains(err.Error(), broken.says) {
			t.Errorf("%s passed, or does not say %q: %v", name, broken.says, err)
		}
		if v := r.look(t, name); !v.TestedAt.IsZero() || !strings.Contains(v.Fault, broken.says) {
			t.Errorf("%+v", v)
		}
		if err := r.PublishTemplate(t.Context(), "web", name); !errors.Is(err, runtime.ErrUntested) {
			t.Errorf("%s was published: %v", name, err)
		}
	}
	if after := r.count(t); after != before {
		t.Errorf("before the tests %+v, after them %+v", before, after)
	}
}

// TestMove has four sites: asleep and unchanged, running, with a package of its own, and with a Files session open.
func TestMove(t *testing.T) {
	r := keeper(t)
	m, rootfs := r.first(t)
	own := stack{"nginx", "php", "mariadb"}.of(spec(t, 1))
	addr := r.running(t, own)
	r.sh(t, own.ID, "echo kept >www/kept.txt", false)
	if out := r.as(t, own, clients["mariadb"].create); out != "" {
		t.Fatal(out)
	}
	r.version(t, m, "20260104-1", template.State{Published: true}, rootfs)
	if err := r.Move(t.Context(), own.ID, "20260104-1"); !errors.Is(err, runtime.ErrRunning) {
		t.Fatal("moved while it runs:", err)
	}
	r.stop(t, own.ID)
	files, err := r.Files(t.Context(), own.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Move(t.Context(), own.ID, "20260104-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Read(make([]byte, 1)); err == nil {
		t.Error("a session goes on above a layer that was changed")
	}
	_ = files.Close()
	if v := r.look(t, "20260104-1"); v.Sites != 1 {
		t.Errorf("%+v", v)
	}
	r.leaveAndReturn(t, func() {})
	r.start(t, own.ID)
	if status, page := get(t, addr.String(), "/kept.txt", nil); status != http.StatusOK || page != "kept\n" {
		t.Errorf("after the move: %d %q", status, page)
	}
	if got := r.as(t, own, "mariadb -N -u site -p$DB_PASSWORD site -e 'SHOW TABLES'"); got != "kept\n" {
		t.Errorf("the database after the move: %q", got)
	}
	r.sh(t, own.ID, "echo >>/var/lib/dpkg/status", true) // what dpkg does when it installs anything
	r.stop(t, own.ID)
	if err := r.Move(t.Context(), own.ID, "20260101-1"); !errors.Is(err, runtime.ErrChanged) {
		t.Error("a site with packages of its own was moved:", err)
	}
	for what, plant := range map[string]string{"a FIFO": "mkfifo", "a link to the host's": "ln -s /proc/1/root", "a folder": "mkdir", "nothing": ": "} {
		r.start(t, own.ID)
		r.sh(t, own.ID, "rm -rf /var/lib/dpkg/status; "+plant+" /var/lib/dpkg/status", true)
		r.stop(t, own.ID)
		if err := r.Move(t.Context(), own.ID, "20260101-1"); err == nil {
			t.Errorf("with %s for a package list the site was moved", what)
		}
	}
	if got := r.status(t, own.ID); got != runtime.Stopped {
		t.Errorf("after the refusals it is %v", got)
	}
	other := m
	other.Suite = "forky"
	r.version(t, other, "20270101-1", template.State{Published: true}, rootfs)
	if err := r.Move(t.Context(), own.ID, "20270101-1"); !errors.Is(err, runtime.ErrChanged) {
		t.Error("a site was moved to another release:", err)
	}
}

func TestATestThatWasKilledLeavesNothing(t *testing.T) {
	r := keeper(t)
	before := r.count(t)
	v, err := r.templates.newest("web")
	if err != nil {
		t.Fatal(err)
	}
	s := spec(t, 9)
	if err := r.Driver.create(t.Context(), s, v, true); err != nil {
		t.Fatal(err)
	}
	r.start(t, s.ID)
	r.leaveAndReturn(t, func() {})
	until(t, "the throw-away site is gone", func() bool { return r.count(t) == before })
	if left, err := os.ReadDir(r.sitesDir()); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}
