package site_test

import (
	"slices"
	"testing"

	"petitpont/runtime"
	"petitpont/site"
)

// breaks lets no site start on version: its web server ends at once.
func (s *spy) breaks(version string) {
	s.FailFor("start", func(id string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pinned[id] == "web@"+version {
			return &runtime.StartError{Reason: runtime.ReasonEnded, Log: "unknown directive"}
		}
		return nil
	})
}

func (s *spy) on(x site.Site) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pinned[string(x.ID)]
}

func TestASiteThatDoesNotStartOnANewerVersionGoesBack(t *testing.T) {
	w, spy := spied(t)
	w.onOldest("blog", "other")
	_, err := w.v.MoveSites(w.ctx(), w.who("admin"), "web", newest)
	w.ok(err)
	spy.breaks(newest)
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
	blog := w.until("blog", site.Awake)
	if on := spy.on(blog); on != "web@"+oldest {
		t.Errorf("it runs on %s", on)
	}
	states := w.templates().Waves
	if len(states) != 1 || len(states[0].Failed) != 1 || !slices.Equal(states[0].Waiting, []string{"other"}) || len(states[0].Kept) != 0 {
		t.Fatalf("%+v", states)
	}
	if f := states[0].Failed[0]; f.Name != "blog" || f.Fault.Code != site.CodeServerEnded || f.Fault.Log != "unknown directive" || f.Fault.Ref == "" {
		t.Errorf("%+v, %+v", f, f.Fault)
	}
	t.Run("and is not tried again, not even by the next process", func(t *testing.T) {
		before := len(spy.moved())
		w.asleep("blog")
		w.enter(blog)
		w.asleep("blog")
		w.restart()
		w.enter(blog)
		if got := spy.moved(); len(got) != before {
			t.Errorf("%v", got[before:])
		}
		if states := w.templates().Waves; len(states[0].Failed) != 1 || states[0].Failed[0].Fault.Log != "unknown directive" {
			t.Errorf("%+v", states)
		}
	})
}

func TestASiteThatWasMovedBeforeACrashStillGoesBack(t *testing.T) {
	w, spy := spied(t)
	blog := w.onOldest("blog")["blog"]
	_, err := w.v.MoveSites(w.ctx(), w.who("admin"), "web", newest)
	w.ok(err)
	spy.breaks(newest)
	release := w.driver.Hold("start")
	started := w.driver.Reached("start")
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
	w.await("start", started+1)
	if on := spy.on(blog); on != "web@"+newest {
		t.Fatalf("it is on %s", on)
	}
	w.restart() // breaks the start off
	release()
	w.enter(blog)
	if on := spy.on(blog); on != "web@"+oldest {
		t.Errorf("it runs on %s", on)
	}
}

// A site that has not started on one newer version yet moves on to the next, and goes back to the one it last ran on.
func TestASiteGoesBackPastAVersionItNeverStartedOn(t *testing.T) {
	w, spy := spied(t)
	blog := w.onOldest("blog")["blog"]
	admin := w.who("admin")
	_, err := w.v.MoveSites(w.ctx(), admin, "web", middle)
	w.ok(err)
	starts := w.driver.Starts(string(blog.ID))
	spy.Fail("start", runtime.ErrNoSpace) // which is not the version's fault
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
	w.until("blog", site.Failed)
	if on := spy.on(blog); on != "web@"+middle || w.driver.Starts(string(blog.ID)) == starts {
		t.Fatalf("it is on %s", on)
	}
	spy.Fail("start", nil)
	spy.breaks(newest)
	_, err = w.v.MoveSites(w.ctx(), admin, "web", newest)
	w.ok(err)
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
	w.until("blog", site.Awake)
	if on := spy.on(blog); on != "web@"+oldest {
		t.Errorf("it runs on %s", on)
	}
}

func TestASiteThatStartsOnNoVersionIsNotHeldAgainstTheNewer(t *testing.T) {
	w, spy := spied(t)
	blog := w.onOldest("blog")["blog"]
	_, err := w.v.MoveSites(w.ctx(), w.who("admin"), "web", newest)
	w.ok(err)
	spy.FailFor("start", func(string) error {
		return &runtime.StartError{Reason: runtime.ReasonSilent, Log: "mine"}
	})
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
	if f := w.until("blog", site.Failed).Fault; f.Code != site.CodeSilent {
		t.Errorf("%+v", f)
	}
	if on, s := spy.on(blog), w.templates().Waves[0]; on != "web@"+oldest || !slices.Equal(s.Waiting, []string{"blog"}) || len(s.Failed) != 0 {
		t.Errorf("on %s, %+v", on, s)
	}
	spy.FailFor("start", func(string) error { return nil })
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
	w.until("blog", site.Awake)
	if on := spy.on(blog); on != "web@"+newest {
		t.Errorf("it runs on %s", on)
	}
	if s := w.find("blog"); s.MovedFrom != "" || s.Kept != "" {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsNoFaultOfTheVersionMovesNobodyBack(t *testing.T) {
	for name, why := range map[string]error{"the runtime went away": runtime.ErrDown, "the host is full": runtime.ErrNoSpace} {
		t.Run(name, func(t *testing.T) {
			w, spy := spied(t)
			blog := w.onOldest("blog")["blog"]
			_, err := w.v.MoveSites(w.ctx(), w.who("admin"), "web", newest)
			w.ok(err)
			starts := w.driver.Starts(string(blog.ID))
			spy.Fail("start", why)
			w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
			w.retry("it was tried", func() bool {
				s := w.find("blog").State
				return w.driver.Starts(string(blog.ID)) > starts && (s == site.Failed || s == site.Asleep)
			})
			spy.Fail("start", nil)
			w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
			w.until("blog", site.Awake)
			if on := spy.on(blog); on != "web@"+newest || w.find("blog").MovedFrom != "" {
				t.Errorf("it runs on %s", on)
			}
		})
	}
}
