package site_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"petitpont/runtime"
	"petitpont/site"
)

const oldest, middle, newest = "20261118-1", "20261119-1", "20261120-1"

// onOldest are sites of eleve that rest on the oldest version.
func (w *world) onOldest(names ...string) map[string]site.Site {
	w.t.Helper()
	all := map[string]site.Site{}
	for _, name := range names {
		w.make(name)
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), name))
		all[name] = w.until(name, site.Asleep)
	}
	w.ok(w.v.Reconcile(w.ctx()))
	return all
}

func (w *world) templates() site.Templates {
	w.t.Helper()
	all, err := w.v.Templates(w.ctx(), w.who("admin"))
	w.ok(err)
	return all
}

func TestTemplates(t *testing.T) {
	w, spy := spied(t)
	w.onOldest("one", "two")
	spy.versions = append(spy.versions, runtime.Version{Template: runtime.Template{Name: "web", Version: "20261121-1"}, Fault: "port 80"})
	all := w.templates()
	var seen []string
	for _, x := range all.Versions {
		seen = append(seen, x.Template.Version)
	}
	if !slices.Equal(seen, []string{"20261121-1", newest, middle, oldest}) {
		t.Errorf("%v", seen)
	}
	if all.Versions[0].Newest || !all.Versions[1].Newest || all.Versions[2].Newest || all.Versions[1].Behind != 2 {
		t.Errorf("%+v", all.Versions)
	}
	if !slices.Equal(all.Versions[3].Pinned, []string{"one", "two"}) {
		t.Errorf("%+v", all.Versions[3])
	}
}

func TestTemplateRefusals(t *testing.T) {
	w, spy := spied(t)
	w.onOldest("one", "two")
	admin := w.who("admin")
	spy.setRefusal("retire", runtime.ErrInUse)
	if args := w.code(w.v.RetireTemplate(w.ctx(), admin, "web", oldest), site.CodeTemplateUsed); args["sites"] != "one, two" || args["n"] != "2" {
		t.Errorf("%v", args)
	}
	spy.setRefusal("publish", runtime.ErrUntested)
	w.code(w.v.PublishTemplate(w.ctx(), admin, "web", newest), site.CodeTemplateNew)
	for _, made := range [][2]string{{"web", "20990101-1"}, {"../web", oldest}, {"web", "../" + oldest}, {"", ""}} {
		w.code(w.v.RetireTemplate(w.ctx(), admin, made[0], made[1]), site.CodeNoVersion)
		w.code(w.v.PublishTemplate(w.ctx(), admin, made[0], made[1]), site.CodeNoVersion)
		w.code(w.v.TestTemplate(w.ctx(), admin, made[0], made[1]), site.CodeNoVersion)
	}
	w.code(w.v.BuildTemplate(w.ctx(), admin, "../web"), site.CodeNoTemplate)
	spy.setRefusal("versions", runtime.ErrDown)
	_, err := w.v.Templates(w.ctx(), admin)
	w.code(err, site.CodeRuntimeDown)
}

func TestTemplatesAreForAdmins(t *testing.T) {
	w, spy := spied(t)
	prof := w.who("prof")
	_, err := w.v.Templates(w.ctx(), prof)
	w.code(err, site.CodeForbidden)
	_, err = w.v.MoveSites(w.ctx(), prof, "web", newest)
	w.code(err, site.CodeForbidden)
	_, err = w.v.Health(w.ctx(), prof)
	w.code(err, site.CodeForbidden)
	w.code(w.v.BuildTemplate(w.ctx(), prof, "web"), site.CodeForbidden)
	w.code(w.v.TestTemplate(w.ctx(), prof, "web", newest), site.CodeForbidden)
	w.code(w.v.PublishTemplate(w.ctx(), prof, "web", newest), site.CodeForbidden)
	w.code(w.v.RetireTemplate(w.ctx(), prof, "web", oldest), site.CodeForbidden)
	if len(spy.versions) != 3 {
		t.Error("something was built")
	}
}

func TestBuildTemplate(t *testing.T) {
	t.Run("goes on by itself, shows how far it is, and one at a time", func(t *testing.T) {
		w, spy := spied(t)
		spy.hold = make(chan struct{})
		w.ok(w.v.BuildTemplate(w.ctx(), w.who("admin"), "web"))
		w.retry("it reports", func() bool { return w.templates().Work.Build.Step == runtime.BuildInstall })
		if x := w.templates().Work; x.Done() || x.Build.Done != 5 || x.Build.Total != 10 {
			t.Errorf("%+v", x)
		}
		w.code(w.v.BuildTemplate(w.ctx(), w.who("admin"), "web"), site.CodeTemplateBusy)
		w.code(w.v.TestTemplate(w.ctx(), w.who("admin"), "web", newest), site.CodeTemplateBusy)
		close(spy.hold)
		w.retry("it is done", func() bool { return w.templates().Work.Done() })
		if x := w.templates().Work; x.Fault != nil || x.Version != "20261121-1" {
			t.Errorf("%+v", x)
		}
		w.ok(w.v.TestTemplate(w.ctx(), w.who("admin"), "web", newest))
	})
	for name, c := range map[string]struct {
		call string
		code site.Code
	}{
		"a build that fails says so": {"build", site.CodeTemplateBuild},
		"a test that fails says so":  {"test", site.CodeTemplateTest},
	} {
		t.Run(name, func(t *testing.T) {
			w, spy := spied(t)
			spy.setRefusal(c.call, errors.New("port 80 is silent"))
			w.ok(w.v.BuildTemplate(w.ctx(), w.who("admin"), "web"))
			w.retry("it is done", func() bool { return w.templates().Work.Done() })
			if f := w.templates().Work.Fault; f == nil || f.Code != c.code || f.Log != "port 80 is silent" || f.Ref == "" {
				t.Errorf("%+v", f)
			}
		})
	}
	t.Run("ends with the service", func(t *testing.T) {
		w, spy := spied(t)
		spy.hold = make(chan struct{})
		w.ok(w.v.BuildTemplate(w.ctx(), w.who("admin"), "web"))
		w.restart() // would wait for ever
		if w.templates().Work != nil {
			t.Error("the new service knows of it")
		}
	})
}

func TestWave(t *testing.T) {
	w, spy := spied(t)
	sites := w.onOldest("changed", "plain", "later")
	spy.setRefusal(string(sites["changed"].ID), runtime.ErrChanged)
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "later"))
	w.until("later", site.Awake)
	if len(spy.moved()) != 0 {
		t.Fatalf("moved without a wave: %v", spy.moved())
	}
	n, err := w.v.MoveSites(w.ctx(), w.who("admin"), "web", newest)
	w.ok(err)
	if n != 3 {
		t.Errorf("%d sites", n)
	}
	w.restart() // the wave goes on
	for _, name := range []string{"changed", "plain"} {
		w.ok(w.v.Start(w.ctx(), w.who("eleve"), name))
		w.until(name, site.Awake)
	}
	if got := w.find("later"); got.State != site.Awake || slices.Contains(spy.moved(), string(got.ID)+" "+newest) {
		t.Error("what runs was touched")
	}
	all := w.templates()
	if len(all.Waves) != 1 || !slices.Equal(all.Waves[0].Kept, []string{"changed"}) || !slices.Equal(all.Waves[0].Waiting, []string{"later"}) {
		t.Errorf("%+v", all.Waves)
	}
	if !slices.Equal(all.Versions[0].Pinned, []string{"plain"}) || all.Versions[0].Behind != 0 {
		t.Errorf("%+v", all.Versions[0])
	}
	t.Run("a site that keeps its version is asked once", func(t *testing.T) {
		before := len(spy.moved())
		w.restart()
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "changed"))
		w.retry("it starts again", func() bool { return w.driver.Starts(string(sites["changed"].ID)) == 3 })
		w.until("changed", site.Awake)
		if got := spy.moved(); len(got) != before {
			t.Errorf("%v", got[before:])
		}
	})
	t.Run("a move that fails keeps no site down", func(t *testing.T) {
		spy.setRefusal(string(sites["later"].ID), errors.New("boom"))
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "later"))
		w.retry("it starts again", func() bool { return w.driver.Starts(string(sites["later"].ID)) == 3 })
		w.until("later", site.Awake)
		if s := w.find("later"); s.Kept != "" {
			t.Errorf("it counts as changed: %+v", s)
		}
	})
	t.Run("a newer version is not left for an older one", func(t *testing.T) {
		_, err := w.v.MoveSites(w.ctx(), w.who("admin"), "web", middle)
		w.ok(err)
		before := len(spy.moved())
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "plain"))
		w.retry("it starts again", func() bool { return w.driver.Starts(string(sites["plain"].ID)) == 3 })
		if got := spy.moved(); len(got) != before {
			t.Errorf("%v", got[before:])
		}
	})
}

func TestHealth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "selfcheck.json")
	w, _ := spied(t, func(c *site.Config) { c.Report = path })
	w.make("blog")
	look := func() site.Health {
		t.Helper()
		h, err := w.v.Health(w.ctx(), w.who("admin"))
		w.ok(err)
		return h
	}
	part := func(h site.Health, name string) site.Part {
		t.Helper()
		i := slices.IndexFunc(h.Parts, func(p site.Part) bool { return p.Name == name })
		if i < 0 {
			t.Fatalf("no part %s in %+v", name, h.Parts)
		}
		return h.Parts[i]
	}
	h := look()
	if h.Selfcheck != nil || h.Unread != nil || h.Storage.Promised != 1<<30 || h.Storage.Volume != 1<<40 || h.Storage.Short {
		t.Errorf("%+v", h)
	}
	for _, name := range []string{"runtime", "register", "storage"} {
		if p := part(h, name); p.Err != nil {
			t.Errorf("%s: %v", name, p.Err)
		}
	}
	t.Run("each part says when it fails", func(t *testing.T) {
		w.driver.Fail("templates", runtime.ErrDown)
		w.store.SetFail(func(string) error { return errors.New("disk I/O error") })
		h := look()
		if part(h, "runtime").Err == nil || part(h, "register").Err == nil {
			t.Errorf("%+v", h.Parts)
		}
		w.store.SetFail(nil)
	})
	t.Run("the last selfcheck is read, whatever version wrote it", func(t *testing.T) {
		w.ok(os.WriteFile(path, []byte(`{"time":"2026-11-20T08:00:00Z","version":"9","ok":false,"later":[1],
			"probes":[{"name":"keyctl","about":"x","root":"blocked","web":"open","new":3},{"name":7},"text",{"name":""}]}`), 0o600))
		h := look()
		if h.Unread != nil || h.Selfcheck == nil || h.Selfcheck.Version != "9" || h.Selfcheck.Time.IsZero() ||
			len(h.Selfcheck.Probes) != 1 || h.Selfcheck.Probes[0].Web != "open" {
			t.Errorf("%+v, %v", h.Selfcheck, h.Unread)
		}
		w.ok(os.WriteFile(path, []byte("no json"), 0o600))
		if h := look(); h.Unread == nil || h.Selfcheck != nil {
			t.Errorf("%+v", h)
		}
	})
}
