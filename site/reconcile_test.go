package site_test

import (
	"context"
	"testing"
	"time"

	"petitpont/runtime"
	"petitpont/site"
)

func TestReconcile(t *testing.T) {
	t.Run("a running site is adopted by the next service, without a start", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.restart()
		if got := w.find("blog").State; got != site.Awake {
			t.Fatalf("it is %s", got)
		}
		w.enter(s)
		if n := w.driver.Starts(string(s.ID)); n != 1 {
			t.Errorf("%d starts", n)
		}
	})
	t.Run("after a reboot everything is asleep and wakes at the first visit", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.close(w.v)
		w.ok(w.driver.Stop(w.ctx(), string(s.ID), 0))
		w.open()
		if got := w.find("blog").State; got != site.Asleep {
			t.Fatalf("it is %s", got)
		}
		w.enter(s)
	})
	t.Run("after a reboot the plans that never sleep come up by themselves", func(t *testing.T) {
		w := newWorld(t, func(c *site.Config) {
			c.Plans = site.DefaultPlans()
			p := c.Plans[site.Student]
			p.Idle = 0
			c.Plans[site.Student] = p
		})
		s := w.make("blog")
		w.close(w.v)
		w.ok(w.driver.Stop(w.ctx(), string(s.ID), 0))
		w.open()
		w.until("blog", site.Awake)
	})
	t.Run("killed while waking, the site that came up is adopted", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.close(w.v)
		w.store.Edit(s.ID, func(s *site.Site) { s.State = site.Waking })
		w.open()
		w.until("blog", site.Awake)
	})
	t.Run("killed while its owner stopped it, it is stopped", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.close(w.v)
		w.store.Edit(s.ID, func(s *site.Site) { s.Want, s.State = site.Down, site.Stopping })
		w.open()
		w.until("blog", site.Asleep)
		if i := w.seen(s); i.Status != runtime.Stopped {
			t.Errorf("the driver shows %v", i.Status)
		}
	})
	t.Run("killed while making it, before or after the disk, it is made and started", func(t *testing.T) {
		for _, label := range []string{"create", "create.disk", "start.answer"} {
			w := newWorld(t)
			release := w.driver.Hold(label)
			s, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
			w.ok(err)
			w.await(label, 1)
			w.close(w.v)
			w.store.Edit(s.ID, func(s *site.Site) { s.State, s.MadeAt = site.Creating, time.Time{} })
			release()
			w.open()
			w.retry("it was made", func() bool { return !w.find("blog").MadeAt.IsZero() })
			w.enter(s)
		}
	})
	t.Run("a site whose disk is gone fails and never gets a fresh one", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.close(w.v)
		w.ok(w.driver.Destroy(w.ctx(), string(s.ID)))
		creates := w.driver.Reached("create")
		w.open()
		if f := w.until("blog", site.Failed).Fault; f.Code != site.CodeDiskMissing || f.Args["s"] != "blog" {
			t.Errorf("%+v", f)
		}
		_, _, err := w.v.Enter(w.ctx(), s.ID)
		w.code(err, site.CodeDiskMissing)
		w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
		w.retry("the start has failed", func() bool { p, _ := w.v.Progress(w.ctx(), w.who("eleve"), "blog"); return p.Done })
		w.until("blog", site.Failed)
		w.ok(w.v.Reconcile(w.ctx()))
		if n := w.driver.Reached("create"); n != creates {
			t.Errorf("it was made again: %d creates after %d", n, creates)
		}
	})
	t.Run("a container no site owns is stopped and shown, never destroyed", func(t *testing.T) {
		w := newWorld(t)
		spec := runtime.Spec{ID: "strangerzz", Template: "web", Slot: 77, Segment: "student", Hostname: "x"}
		w.ok(w.driver.Create(w.ctx(), spec))
		_, err := w.driver.Start(w.ctx(), spec.ID)
		w.ok(err)
		w.ok(w.v.Reconcile(w.ctx()))
		h, err := w.v.Health(w.ctx(), w.who("admin"))
		w.ok(err)
		strays := h.Lost.Containers
		if len(strays) != 1 || strays[0].ID != spec.ID || w.driver.Reached("destroy") != 0 {
			t.Errorf("strays %v, %d destroys", strays, w.driver.Reached("destroy"))
		}
		if i := w.seen(site.Site{ID: "strangerzz"}); i.Status != runtime.Stopped {
			t.Errorf("it is %v", i.Status)
		}
	})
	t.Run("a frozen site is thawed by a visit, without a second start", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.ok(w.driver.Freeze(w.ctx(), string(s.ID)))
		w.ok(w.v.Reconcile(w.ctx()))
		w.until("blog", site.Dozing)
		w.enter(s)
		if i := w.seen(s); i.Status != runtime.Running || w.driver.Starts(string(s.ID)) != 1 {
			t.Errorf("%v after %d starts", i.Status, w.driver.Starts(string(s.ID)))
		}
	})
	t.Run("an end nobody told of is found and mended", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.ok(w.driver.Stop(w.ctx(), string(s.ID), 0)) // no Exit
		w.ok(w.v.Reconcile(w.ctx()))
		w.retry("it was started again", func() bool { return w.driver.Starts(string(s.ID)) == 2 })
		w.until("blog", site.Awake)
	})
	t.Run("with the runtime down it opens, and what runs is adopted later without a start", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.close(w.v)
		w.driver.Fail("list", runtime.ErrDown)
		w.open()
		w.until("blog", site.Asleep)
		w.driver.Fail("list", nil)
		w.ok(w.v.Reconcile(w.ctx()))
		w.until("blog", site.Awake)
		if n := w.driver.Starts(string(s.ID)); n != 1 {
			t.Errorf("%d starts", n)
		}
	})
	t.Run("a site that moves while the driver is being asked is left alone", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.ok(w.driver.Stop(w.ctx(), string(s.ID), 0)) // nobody is told
		n := w.driver.Reached("list.answer")
		release := w.driver.Hold("list.answer")
		looked := make(chan error, 1)
		go func() { looked <- w.v.Reconcile(w.ctx()) }()
		w.await("list.answer", n+1) // it was seen stopped
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "blog"))
		w.retry("it runs again", func() bool { return w.driver.Starts(string(s.ID)) == 2 })
		w.until("blog", site.Awake)
		release()
		w.ok(<-looked)
		if got := w.find("blog").State; got != site.Awake {
			t.Errorf("old news moved it to %s", got)
		}
	})
	t.Run("a row that could not be stored is stored by the next look", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.retry("the store knows", func() bool { row, _ := w.store.Row(s.ID); return row.State == site.Awake })
		w.store.SetFail(func(call string) error {
			if call == "update" {
				return context.DeadlineExceeded
			}
			return nil
		})
		w.driver.Fail("start", &runtime.StartError{Reason: runtime.ReasonSilent})
		w.driver.Kill(string(s.ID))
		w.until("blog", site.Failed)
		w.store.SetFail(nil)
		w.ok(w.v.Reconcile(w.ctx()))
		if row, _ := w.store.Row(s.ID); row.State != site.Failed || row.Fault == nil {
			t.Errorf("stored as %s", row.State)
		}
	})
}

func (w *world) seen(s site.Site) runtime.Info {
	w.t.Helper()
	all, err := w.driver.List(w.ctx())
	w.ok(err)
	for _, i := range all {
		if i.ID == string(s.ID) {
			return i
		}
	}
	return runtime.Info{}
}
