package site_test

import (
	"slices"
	"strings"
	"testing"

	"petitpont/runtime"
	"petitpont/runtime/fake"
	"petitpont/site"
)

// proxied reopens the service with a configuration that names a proxy.
func (w *world) proxied(url string) {
	w.t.Helper()
	w.cfg.Proxy = site.WebProxy{URL: url}
	w.restart()
}

func (w *world) waits(name string) bool {
	w.t.Helper()
	l, err := w.v.Limits(w.ctx(), w.who("eleve"), name)
	w.ok(err)
	return l.Waits
}

func TestAChangeOfTheConfigurationReachesSites(t *testing.T) {
	const url = "http://proxy.ecole.example:3128"
	toldOf := func(d *fake.Driver, s site.Site) bool {
		return slices.Contains(d.Env(string(s.ID)), "HTTPS_PROXY="+url)
	}
	t.Run("that sleep, at their next start", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.asleep("blog")
		w.proxied(url)
		w.enter(s)
		if !toldOf(w.driver, s) {
			t.Errorf("%v", w.driver.Env(string(s.ID)))
		}
		if w.waits("blog") {
			t.Error("it has just started, and waits")
		}
	})
	t.Run("that run, at their next start, and until then it is said", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		if w.waits("blog") {
			t.Error("nothing was changed, and it waits")
		}
		w.proxied(url)
		w.retry("the driver was told", func() bool { w.ok(w.v.Reconcile(w.ctx())); return w.waits("blog") })
		if s := w.find("blog"); s.State != site.Awake || toldOf(w.driver, s) || w.driver.Starts(string(s.ID)) != 1 {
			t.Errorf("%v after %d starts, told %v", s.State, w.driver.Starts(string(s.ID)), w.driver.Env(string(s.ID)))
		}
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "blog"))
		w.retry("it started again", func() bool { return w.driver.Starts(string(s.ID)) == 2 })
		w.until("blog", site.Awake)
		if !toldOf(w.driver, s) || w.waits("blog") {
			t.Errorf("waits %v, told %v", w.waits("blog"), w.driver.Env(string(s.ID)))
		}
	})
	t.Run("and taking the proxy away again takes its variables away", func(t *testing.T) {
		w := newWorld(t, func(c *site.Config) { c.Proxy.URL = url })
		s := w.make("blog")
		w.asleep("blog")
		w.proxied("")
		w.enter(s)
		if env := strings.Join(w.driver.Env(string(s.ID)), " "); strings.Contains(strings.ToLower(env), "proxy") || !strings.Contains(env, "PETITPONT_SITE=blog") {
			t.Error(env)
		}
	})
	t.Run("but a runtime that cannot take it keeps none from starting", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.asleep("blog")
		w.driver.Fail("env", runtime.ErrNoSpace)
		w.proxied(url)
		w.enter(s)
		if toldOf(w.driver, s) {
			t.Error("it was told all the same")
		}
		w.driver.Fail("env", nil)
		w.retry("it is tried again", func() bool { w.ok(w.v.Reconcile(w.ctx())); return w.waits("blog") })
	})
	t.Run("which are asked no more than needed", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.asleep("blog")
		before := w.driver.Reached("env")
		w.enter(s)
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "blog"))
		w.retry("it started again", func() bool { return w.driver.Starts(string(s.ID)) == 3 })
		w.until("blog", site.Awake)
		if n := w.driver.Reached("env") - before; n != 1 { // once for each process of ours
			t.Errorf("told %d times", n)
		}
	})
}
