package site_test

import (
	"context"
	"reflect"
	"testing"

	"petitpont/runtime"
	"petitpont/site"
)

func TestSetLimits(t *testing.T) {
	t.Run("hold at once, and after a restart", func(t *testing.T) {
		w, spy := spied(t)
		s := w.make("blog")
		own := runtime.Limits{Memory: 512 << 20, CPU: 2000, Procs: 200, Disk: 2 << 30}
		w.ok(w.v.SetLimits(w.ctx(), w.who("admin"), "blog", own))
		told := spy.told(s)
		want := own
		want.Inodes = 100_000 // the plan's
		if len(told) != 1 || told[0] != want {
			t.Fatalf("told %+v", told)
		}
		if s := w.find("blog"); s.State != site.Awake {
			t.Errorf("it is %s: limits change nothing of a site's state", s.State)
		}
		w.restart()
		l, err := w.v.Limits(w.ctx(), w.who("eleve"), "blog")
		w.ok(err)
		if l.Own != own || l.Held != want || !l.Special() || l.Plan.Memory != 256<<20 {
			t.Errorf("%+v", l)
		}
	})
	t.Run("of every kind can be set", func(t *testing.T) {
		w, spy := spied(t)
		s := w.make("blog")
		own := runtime.Limits{
			Disk: 2 << 30, Inodes: 5000, Memory: 512 << 20, CPU: 2000, Procs: 200,
			IO: 8 << 20, Files: 512, Watches: 256, Terminals: 8, Tmp: 4 << 20, Connections: 64, Rate: 10,
		}
		for i := range reflect.TypeFor[runtime.Limits]().NumField() {
			if reflect.ValueOf(own).Field(i).IsZero() {
				t.Errorf("this test knows nothing of %s", reflect.TypeFor[runtime.Limits]().Field(i).Name)
			}
		}
		w.ok(w.v.SetLimits(w.ctx(), w.who("admin"), "blog", own))
		if told := spy.told(s); len(told) != 1 || told[0] != own {
			t.Errorf("told %+v", told)
		}
	})
	t.Run("of their own go back to the plan's", func(t *testing.T) {
		w, spy := spied(t)
		s := w.make("blog")
		w.ok(w.v.SetLimits(w.ctx(), w.who("admin"), "blog", runtime.Limits{Memory: 512 << 20}))
		w.ok(w.v.SetLimits(w.ctx(), w.who("admin"), "blog", runtime.Limits{}))
		told := spy.told(s)
		if len(told) != 2 || told[1] != site.DefaultPlans()[site.Student].Limits {
			t.Errorf("%+v", told)
		}
		if l, _ := w.v.Limits(w.ctx(), w.who("eleve"), "blog"); l.Special() {
			t.Errorf("%+v", l)
		}
	})
	t.Run("are for admins", func(t *testing.T) {
		w, spy := spied(t)
		s := w.make("blog")
		w.code(w.v.SetLimits(w.ctx(), w.who("eleve"), "blog", runtime.Limits{Memory: 1 << 40}), site.CodeForbidden)
		_, err := w.v.Limits(w.ctx(), w.who("prof"), "blog")
		w.code(err, site.CodeNotFound)
		if len(spy.told(s)) != 0 {
			t.Error("they were set")
		}
	})
	t.Run("no site can live with are refused", func(t *testing.T) {
		w, spy := spied(t)
		s := w.make("blog")
		for code, all := range map[site.Code][]runtime.Limits{
			site.CodeLimitSize: {{Memory: 1 << 20}, {Memory: -1}, {Memory: 1 << 50}, {Disk: 1}, {Disk: 1 << 60}, {IO: 1}, {IO: 1 << 40}, {Tmp: 1}, {Tmp: 1 << 50}},
			site.CodeLimitCount: {
				{CPU: 1},
				{CPU: -5},
				{Procs: 1},
				{Procs: 1 << 30},
				{Inodes: 1},
				{Inodes: 1 << 40},
				{Files: 1},
				{Files: 1 << 30},
				{Watches: 1},
				{Watches: 1 << 30},
				{Terminals: 1},
				{Terminals: -1},
				{Terminals: 1 << 20},
				{Connections: 1},
				{Connections: 1 << 30},
				{Rate: -1},
				{Rate: 1 << 30},
			},
			site.CodeDiskShrinks: {{Disk: 512 << 20}},
		} {
			for _, l := range all {
				w.code(w.v.SetLimits(w.ctx(), w.who("admin"), "blog", l), code)
			}
		}
		if l, _ := w.v.Limits(w.ctx(), w.who("admin"), "blog"); l.Special() || len(spy.told(s)) != 0 {
			t.Errorf("%+v, told %+v", l, spy.told(s))
		}
	})
	t.Run("that the driver refuses are not stored", func(t *testing.T) {
		w, _ := spied(t)
		w.make("blog")
		w.driver.Fail("limits", runtime.ErrNoSpace)
		w.code(w.v.SetLimits(w.ctx(), w.who("admin"), "blog", runtime.Limits{Disk: 1 << 40}), site.CodeDiskGrow)
		w.driver.Fail("limits", runtime.ErrDown)
		w.code(w.v.SetLimits(w.ctx(), w.who("admin"), "blog", runtime.Limits{Memory: 1 << 30}), site.CodeRuntimeDown)
		if l, _ := w.v.Limits(w.ctx(), w.who("admin"), "blog"); l.Special() {
			t.Errorf("%+v", l)
		}
	})
	t.Run("of a site at rest are set without starting it", func(t *testing.T) {
		w, spy := spied(t)
		w.make("blog")
		s := w.asleep("blog")
		w.ok(w.v.SetLimits(w.ctx(), w.who("admin"), "blog", runtime.Limits{Memory: 512 << 20}))
		if len(spy.told(s)) != 1 || w.driver.Starts(string(s.ID)) != 1 {
			t.Errorf("told %v, started %d times", spy.told(s), w.driver.Starts(string(s.ID)))
		}
	})
}

func TestLimitsAndOtherRequestsMeet(t *testing.T) {
	type meeting struct {
		name string
		ask  func(w *world) error
		then site.State
	}
	for _, c := range []meeting{
		{"a stop follows", func(w *world) error { return w.v.Stop(w.t.Context(), w.who("eleve"), "blog") }, site.Asleep},
		{"a restart follows", func(w *world) error { return w.v.Restart(w.t.Context(), w.who("eleve"), "blog") }, site.Awake},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _ := spied(t)
			w.make("blog")
			release := w.driver.Hold("limits")
			defer release()
			done := make(chan error, 1)
			go func() {
				done <- w.v.SetLimits(context.Background(), w.who("admin"), "blog", runtime.Limits{Memory: 512 << 20})
			}()
			w.await("limits", 1)
			w.enter(w.find("blog")) // visitors go on
			w.ok(c.ask(w))
			if s := w.find("blog"); s.State != site.Awake {
				t.Errorf("%s while its limits are being set", s.State)
			}
			release()
			w.ok(<-done)
			w.until("blog", c.then)
		})
	}
	t.Run("an end in between is seen", func(t *testing.T) {
		w, _ := spied(t)
		s := w.make("blog")
		release := w.driver.Hold("limits")
		done := make(chan error, 1)
		go func() {
			done <- w.v.SetLimits(context.Background(), w.who("admin"), "blog", runtime.Limits{Memory: 512 << 20})
		}()
		w.await("limits", 1)
		w.driver.Kill(string(s.ID))
		w.until("blog", site.Asleep)
		release()
		w.ok(<-done)
		w.until("blog", site.Awake)
		if n := w.driver.Starts(string(s.ID)); n != 2 {
			t.Errorf("started %d times", n)
		}
	})
	t.Run("a deletion ends the wait", func(t *testing.T) {
		w, _ := spied(t)
		s := w.make("blog")
		release := w.driver.Hold("stop")
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		w.await("stop", 1)
		done := make(chan error, 1)
		go func() {
			done <- w.v.SetLimits(context.Background(), w.who("admin"), "blog", runtime.Limits{Memory: 512 << 20})
		}()
		w.retry("they wait", func() bool { return w.v.Holds(s.ID) })
		w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
		release()
		w.code(<-done, site.CodeBusy)
	})
}

func TestPlansThatChanged(t *testing.T) {
	w, spy := spied(t)
	running, resting := w.make("running"), w.make("resting")
	w.ok(w.v.SetLimits(w.ctx(), w.who("admin"), "running", runtime.Limits{CPU: 1500}))
	w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "resting"))
	w.until("resting", site.Asleep)
	plans := site.DefaultPlans()
	p := plans[site.Student]
	p.Limits.Memory, p.Limits.CPU = 384<<20, 700
	plans[site.Student] = p
	w.cfg.Plans = plans
	w.restart()
	w.retry("what runs is told at once", func() bool {
		told := spy.told(running)
		return len(told) == 2 && told[1].Memory == 384<<20 && told[1].CPU == 1500
	})
	if told := spy.told(resting); len(told) != 0 {
		t.Errorf("what rests was told %+v", told)
	}
	release := w.driver.Hold("start")
	n := w.driver.Reached("start")
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "resting"))
	w.await("start", n+1)
	if told := spy.told(resting); len(told) != 1 {
		t.Errorf("it starts with the old limits: told %+v", told)
	}
	release()
	w.until("resting", site.Awake)
	if told := spy.told(resting); len(told) != 1 || told[0].Memory != 384<<20 || told[0].CPU != 700 {
		t.Errorf("what rested was told %+v", told)
	}
	w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "resting"))
	w.retry("it starts again", func() bool { return w.driver.Starts(string(resting.ID)) == 3 })
	w.until("resting", site.Awake)
	if n := len(spy.told(resting)); n != 1 {
		t.Errorf("told %d times: each start would pay for it", n)
	}
	t.Run("a refusal keeps no site down", func(t *testing.T) {
		w.driver.Fail("limits", runtime.ErrNoSpace)
		p.Limits.Disk = 1 << 40
		w.cfg.Plans = site.Plans{site.Student: p}
		w.restart()
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "resting"))
		w.retry("it starts again", func() bool { return w.driver.Starts(string(resting.ID)) == 4 })
		w.until("resting", site.Awake)
	})
}
