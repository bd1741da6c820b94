package site_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"petitpont/runtime"
	"petitpont/site"
)

func TestCreate(t *testing.T) {
	t.Run("a new site is made, started, and its steps are told", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "École"})
		w.ok(err)
		s := w.until("ecole", site.Awake)
		if s.Name != "ecole" || s.Slot != 1 || s.Want != site.Up || s.MadeAt.IsZero() {
			t.Errorf("%+v", s)
		}
		p, err := w.v.Progress(w.ctx(), w.who("eleve"), "ecole")
		w.ok(err)
		var steps []runtime.Step
		for _, x := range p.Steps {
			steps = append(steps, x.Step)
			if x.Began.IsZero() || x.Ended.Before(x.Began) {
				t.Errorf("step %+v", x)
			}
		}
		want := []runtime.Step{runtime.StepDisk, runtime.StepNetwork, runtime.StepStart, runtime.StepAnswer}
		if !p.Done || p.Fault != nil || !slices.Equal(steps, want) {
			t.Errorf("%+v", p)
		}
		w.retry("the store knows", func() bool { row, _ := w.store.Row(s.ID); return row.State == site.Awake })
	})
	t.Run("progress is not done while it goes on", func(t *testing.T) {
		w := newWorld(t)
		release := w.driver.Hold("start.answer")
		defer release()
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
		w.ok(err)
		w.await("start.answer", 1)
		p, err := w.v.Progress(w.ctx(), w.who("eleve"), "blog")
		w.ok(err)
		if p.Done || len(p.Steps) != 4 || !p.Steps[3].Ended.IsZero() || p.Steps[2].Ended.IsZero() {
			t.Errorf("%+v", p)
		}
		release()
		w.until("blog", site.Awake)
	})
	t.Run("a taken name offers two free ones that can be had", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		_, err := w.v.Create(w.ctx(), w.who("prof"), site.New{Name: "Blog"})
		args := w.code(err, site.CodeNameTaken)
		if args["n"] != "blog" || args["a"] == args["b"] {
			t.Errorf("%v", args)
		}
		for _, k := range []string{"a", "b"} {
			if clean, err := w.v.CheckName(w.ctx(), w.who("prof"), args[k]); err != nil || clean != args[k] {
				t.Errorf("offered %q: %q, %v", args[k], clean, err)
			}
		}
	})
	t.Run("the fourth site of a student is refused", func(t *testing.T) {
		w := newWorld(t)
		for _, n := range []string{"one", "two", "three"} {
			w.make(n)
		}
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "four"})
		if args := w.code(err, site.CodeQuota); args["n"] != "3" {
			t.Errorf("%v", args)
		}
		mine, err := w.v.Mine(w.ctx(), w.who("eleve"))
		w.ok(err)
		if len(mine) != 3 || mine[0].Name != "one" || mine[1].Name != "three" {
			t.Errorf("%v", mine)
		}
	})
	t.Run("somebody without a role gets none", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.v.Create(w.ctx(), site.Identity{Key: "x", Login: "x", Role: "visitor"}, site.New{Name: "blog"})
		w.code(err, site.CodeNoRole)
		_, err = w.v.Create(w.ctx(), site.Identity{Role: site.Student}, site.New{Name: "blog"})
		w.code(err, site.CodeNoRole)
	})
	for name, c := range map[string]struct {
		err  error
		code site.Code
	}{
		"host disk full":       {runtime.ErrNoSpace, site.CodeHostDisk},
		"runtime down":         {runtime.ErrDown, site.CodeRuntimeDown},
		"something unexpected": {errors.New("boom"), site.CodeUnexpected},
	} {
		t.Run(name+" is said, and start tries again", func(t *testing.T) {
			w := newWorld(t)
			w.driver.Fail("create.disk", c.err)
			_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
			w.ok(err)
			s := w.until("blog", site.Failed)
			if s.Fault == nil || s.Fault.Code != c.code || s.Fault.Ref == "" {
				t.Errorf("%+v", s.Fault)
			}
			p, err := w.v.Progress(w.ctx(), w.who("eleve"), "blog")
			w.ok(err)
			if !p.Done || p.Fault == nil {
				t.Errorf("%+v", p)
			}
			_, _, err = w.v.Enter(w.ctx(), s.ID)
			w.code(err, c.code)
			if n := w.driver.Reached("create.disk"); n != 1 {
				t.Errorf("a visit tried again: %d", n)
			}
			w.driver.Fail("create.disk", nil)
			w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
			w.until("blog", site.Awake)
		})
	}
	t.Run("a missing template is said, and no site is stored", func(t *testing.T) {
		w := newWorld(t)
		w.driver.Names = nil
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
		if args := w.code(err, site.CodeNoTemplate); args["t"] != "web" {
			t.Errorf("%v", args)
		}
		_, err = w.v.Find(w.ctx(), w.who("eleve"), "blog")
		w.code(err, site.CodeNotFound)
	})
	t.Run("a template retired in between is said", func(t *testing.T) {
		w := newWorld(t)
		w.driver.Fail("create", runtime.ErrNoTemplate)
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
		w.ok(err)
		if s := w.until("blog", site.Failed); s.Fault.Code != site.CodeNoTemplate || s.Fault.Args["t"] != "web" {
			t.Errorf("%+v", s.Fault)
		}
	})
	t.Run("stopped while being made, it is made and stays down", func(t *testing.T) {
		w := newWorld(t)
		release := w.driver.Hold("create.disk")
		s, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
		w.ok(err)
		w.await("create.disk", 1)
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		release()
		w.until("blog", site.Asleep)
		if n := w.driver.Starts(string(s.ID)); n != 0 || w.driver.Reached("create") != 1 {
			t.Errorf("%d starts, %d creates", n, w.driver.Reached("create"))
		}
	})
}

func TestEnter(t *testing.T) {
	t.Run("a hundred first visitors make exactly one start, and all get the address", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		s := w.asleep("blog")
		before := w.driver.Starts(string(s.ID))
		addrs := make([]netip.AddrPort, 100)
		var all sync.WaitGroup
		for i := range addrs {
			all.Go(func() {
				addr, leave, err := w.v.Enter(w.ctx(), s.ID)
				if err != nil {
					t.Errorf("visitor %d: %v", i, err)
					return
				}
				defer leave()
				addrs[i] = addr
			})
		}
		all.Wait()
		if n := w.driver.Starts(string(s.ID)) - before; n != 1 {
			t.Errorf("%d starts", n)
		}
		for _, a := range addrs {
			if a != addrs[0] || !a.IsValid() {
				t.Fatalf("addresses %v and %v", addrs[0], a)
			}
		}
	})
	t.Run("a visitor who leaves does not stop the start", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		s := w.asleep("blog")
		n := w.driver.Reached("start.answer")
		release := w.driver.Hold("start.answer")
		defer release()
		ctx, cancel := context.WithCancel(w.ctx())
		gone := make(chan error, 1)
		go func() { _, _, err := w.v.Enter(ctx, s.ID); gone <- err }()
		w.await("start.answer", n+1)
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		release()
		w.until("blog", site.Awake)
	})
	t.Run("a site put down by its owner stays down", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		_, _, err := w.v.Enter(w.ctx(), s.ID) // at once, while it still stops
		w.code(err, site.CodeStopped)
		w.until("blog", site.Asleep)
		_, _, err = w.v.Enter(w.ctx(), s.ID)
		w.code(err, site.CodeStopped)
		w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
		w.enter(s)
	})
	t.Run("an unknown site is not found", func(t *testing.T) {
		w := newWorld(t)
		_, _, err := w.v.Enter(w.ctx(), "nosuchsite")
		w.code(err, site.CodeNotFound)
	})
	t.Run("a visitor of a site being made waits for it", func(t *testing.T) {
		w := newWorld(t)
		release := w.driver.Hold("create.disk")
		s, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
		w.ok(err)
		entered := make(chan error, 1)
		go func() { _, _, err := w.v.Enter(w.ctx(), s.ID); entered <- err }()
		w.await("create.disk", 1)
		release()
		w.ok(<-entered)
	})
	for reason, code := range map[runtime.StartReason]site.Code{
		runtime.ReasonSilent: site.CodeSilent, runtime.ReasonEnded: site.CodeServerEnded,
		runtime.ReasonMemory: site.CodeSiteMemory, runtime.ReasonDisk: site.CodeDiskBroken,
	} {
		t.Run("a start that fails by "+string(reason)+" says so to all who wait", func(t *testing.T) {
			w := newWorld(t)
			w.make("blog")
			s := w.asleep("blog")
			w.driver.Fail("start.answer", &runtime.StartError{Reason: reason, Log: "last words"})
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					_, _, err := w.v.Enter(w.ctx(), s.ID)
					var e *site.Error
					if !errors.As(err, &e) || e.Code != code {
						t.Errorf("got %v, want %s", err, code)
					}
				})
			}
			all.Wait()
			f := w.until("blog", site.Failed).Fault
			if f.Code != code || f.Log != "last words" || f.Args["s"] != "blog" {
				t.Errorf("%+v", f)
			}
			if code == site.CodeSilent && f.Args["n"] == "" || code == site.CodeSiteMemory && f.Args["m"] == "" {
				t.Errorf("%+v", f)
			}
		})
	}
	t.Run("runtime down is no fault of the site", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		s := w.asleep("blog")
		w.driver.Fail("start", runtime.ErrDown)
		_, _, err := w.v.Enter(w.ctx(), s.ID)
		w.code(err, site.CodeRuntimeDown)
		w.until("blog", site.Asleep)
		w.driver.Fail("start", nil)
		w.enter(s)
	})
	t.Run("more visitors than may wait are told so", func(t *testing.T) {
		w := newWorld(t, func(c *site.Config) { c.Waiting.PerSite = 1 })
		w.make("blog")
		s := w.asleep("blog")
		n := w.driver.Reached("start.answer")
		release := w.driver.Hold("start.answer")
		first := make(chan error, 2)
		go func() { _, _, err := w.v.Enter(w.ctx(), s.ID); first <- err }()
		go func() { _, _, err := w.v.Enter(w.ctx(), s.ID); first <- err }()
		if args := w.code(<-first, site.CodeBusy); args["action"] != string(site.Waking) {
			t.Errorf("%v", args)
		}
		w.await("start.answer", n+1)
		release()
		w.ok(<-first)
	})
	t.Run("starts at the same time are bounded", func(t *testing.T) {
		w := newWorld(t, func(c *site.Config) { c.Wakes = 1 })
		w.make("one")
		w.make("two")
		one := w.asleep("one")
		two := w.asleep("two")
		n := w.driver.Reached("start")
		release := w.driver.Hold("start.answer")
		entered := make(chan error, 2)
		for _, s := range []site.Site{one, two} {
			go func() { _, _, err := w.v.Enter(w.ctx(), s.ID); entered <- err }()
		}
		w.until("one", site.Waking)
		w.until("two", site.Waking)
		w.await("start", n+1)
		if got := w.driver.Reached("start") - n; got != 1 {
			t.Errorf("%d starts at once", got)
		}
		release()
		w.ok(<-entered)
		w.ok(<-entered)
	})
}

func TestOwnersActions(t *testing.T) {
	t.Run("stop breaks off a start", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		s := w.asleep("blog")
		release := w.driver.Hold("start.answer")
		defer release()
		entered := make(chan error, 1)
		go func() { _, _, err := w.v.Enter(w.ctx(), s.ID); entered <- err }()
		w.until("blog", site.Waking)
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		w.code(<-entered, site.CodeStopped)
		w.until("blog", site.Asleep)
	})
	t.Run("start during a stop waits for it, then starts", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		release := w.driver.Hold("stop")
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		if got := w.find("blog").State; got != site.Stopping {
			t.Errorf("accepted, it is %s", got)
		}
		w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
		release()
		w.until("blog", site.Awake)
		if n := w.driver.Starts(string(s.ID)); n != 2 {
			t.Errorf("%d starts", n)
		}
	})
	t.Run("restart stops and starts", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "blog"))
		w.retry("it was started again", func() bool { return w.driver.Starts(string(s.ID)) == 2 })
		w.until("blog", site.Awake)
		if n := w.driver.Reached("stop"); n != 1 {
			t.Errorf("%d stops", n)
		}
	})
	t.Run("restart of one asleep only starts, once", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		s := w.asleep("blog")
		stops, starts := w.driver.Reached("stop"), w.driver.Starts(string(s.ID))
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "blog"))
		w.until("blog", site.Awake)
		if w.driver.Reached("stop") != stops || w.driver.Starts(string(s.ID)) != starts+1 {
			t.Errorf("%d stops, %d starts", w.driver.Reached("stop")-stops, w.driver.Starts(string(s.ID))-starts)
		}
	})
	t.Run("restart while something goes on is busy, and changes nothing", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		release := w.driver.Hold("stop")
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		err := w.v.Restart(w.ctx(), w.who("eleve"), "blog")
		if args := w.code(err, site.CodeBusy); args["s"] != "blog" || args["action"] != string(site.Stopping) {
			t.Errorf("%v", args)
		}
		release()
		if s := w.until("blog", site.Asleep); s.Want != site.Down {
			t.Errorf("it is wanted %s", s.Want)
		}
	})
	t.Run("stop twice and start twice are accepted", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		for range 2 {
			w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
		}
		for range 2 {
			w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		}
		w.until("blog", site.Asleep)
		if n := w.driver.Starts(string(s.ID)); n != 1 {
			t.Errorf("%d starts", n)
		}
	})
	t.Run("a stop that fails is said, and can be asked again", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		w.driver.Fail("stop", errors.New("stuck"))
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		w.until("blog", site.Failed)
		w.driver.Fail("stop", nil)
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		w.until("blog", site.Asleep)
	})
	t.Run("what is wanted is stored before it is acknowledged", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.store.SetFail(func(call string) error {
			if call == "update" {
				return errors.New("disk full")
			}
			return nil
		})
		if err := w.v.Stop(w.ctx(), w.who("eleve"), "blog"); err == nil {
			t.Error("acknowledged")
		}
		w.enter(s)
		w.store.SetFail(nil)
	})
	t.Run("nobody acts on what is not theirs, but an admin does", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		for name, act := range map[string]func(site.Identity) error{
			"find":    func(who site.Identity) error { _, err := w.v.Find(w.ctx(), who, "blog"); return err },
			"stop":    func(who site.Identity) error { return w.v.Stop(w.ctx(), who, "blog") },
			"start":   func(who site.Identity) error { return w.v.Start(w.ctx(), who, "blog") },
			"restart": func(who site.Identity) error { return w.v.Restart(w.ctx(), who, "blog") },
			"usage":   func(who site.Identity) error { _, err := w.v.Usage(w.ctx(), who, "blog"); return err },
			"files":   func(who site.Identity) error { _, err := w.v.Files(w.ctx(), who, "blog"); return err },
			"progress": func(who site.Identity) error {
				_, err := w.v.Progress(w.ctx(), who, "blog")
				return err
			},
			"delete": func(who site.Identity) error { return w.v.Delete(w.ctx(), who, "blog", "blog") },
		} {
			for _, who := range []site.Identity{w.who("prof"), {}} {
				if got := act(who); w.code(got, site.CodeNotFound) != nil {
					t.Errorf("%s tells more: %v", name, got)
				}
			}
		}
		w.ok(w.v.Stop(w.ctx(), w.who("admin"), "blog"))
		w.until("blog", site.Asleep)
	})
}

func TestDelete(t *testing.T) {
	gone := func(w *world, s site.Site) {
		w.t.Helper()
		w.retry("it is forgotten", func() bool {
			_, err := w.v.Find(w.t.Context(), w.who("admin"), s.Name)
			return err != nil
		})
		all, err := w.driver.List(w.ctx())
		w.ok(err)
		if slices.ContainsFunc(all, func(i runtime.Info) bool { return i.ID == string(s.ID) }) {
			w.t.Error("its container is there")
		}
		if _, there := w.store.Row(s.ID); there {
			w.t.Error("its row is there")
		}
	}
	t.Run("it is destroyed and forgotten, and its name is free", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
		gone(w, s)
		if again := w.make("blog"); again.ID == s.ID || again.Slot != s.Slot {
			t.Errorf("%+v", again)
		}
	})
	t.Run("the name must be typed", func(t *testing.T) {
		w := newWorld(t)
		w.make("blog")
		args := w.code(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "bolg"), site.CodeTyped)
		if args["x"] != "bolg" || args["s"] != "blog" {
			t.Errorf("%v", args)
		}
		w.until("blog", site.Awake)
	})
	t.Run("of two at once one wins and the other is busy", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		release := w.driver.Hold("destroy")
		errs := make(chan error, 2)
		for range 2 {
			go func() { errs <- w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog") }()
		}
		a, b := <-errs, <-errs
		if a != nil {
			a, b = b, a
		}
		w.ok(a)
		if args := w.code(b, site.CodeBusy); args["action"] != string(site.Deleting) {
			t.Errorf("%v", args)
		}
		w.code(w.v.Start(w.ctx(), w.who("eleve"), "blog"), site.CodeBusy)
		_, _, err := w.v.Enter(w.ctx(), s.ID)
		w.code(err, site.CodeNotFound)
		release()
		gone(w, s)
	})
	t.Run("a crash in the middle is continued", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		release := w.driver.Hold("destroy")
		w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
		w.await("destroy", 1)
		w.close(w.v)
		release()
		if _, there := w.store.Row(s.ID); !there {
			t.Fatal("the row went before the container")
		}
		w.open()
		gone(w, s)
	})
	t.Run("a destroy that fails keeps the row, and the next look tries again", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		w.driver.Fail("destroy", errors.New("stuck"))
		w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
		w.await("destroy", 1)
		w.retry("the turn is over", func() bool { p, _ := w.v.Progress(w.ctx(), w.who("admin"), "blog"); return p.Done })
		if got := w.find("blog").State; got != site.Deleting {
			t.Errorf("it is %s", got)
		}
		w.driver.Fail("destroy", nil)
		w.ok(w.v.Reconcile(w.ctx()))
		gone(w, s)
	})
	t.Run("one being made is broken off", func(t *testing.T) {
		w := newWorld(t)
		release := w.driver.Hold("create.disk")
		defer release()
		s, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
		w.ok(err)
		w.await("create.disk", 1)
		w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
		gone(w, s)
	})
	t.Run("its file sessions end", func(t *testing.T) {
		w := newWorld(t)
		s := w.make("blog")
		conn, err := w.v.Files(w.ctx(), w.who("eleve"), "blog")
		w.ok(err)
		release := w.driver.Hold("destroy") // the session must not need the container to go
		defer release()
		w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("it still speaks")
		}
		release()
		gone(w, s)
	})
}

func TestClose(t *testing.T) {
	w := newWorld(t)
	s := w.make("blog")
	asleep := w.asleep("blog")
	release := w.driver.Hold("start.answer")
	go func() { _, _, _ = w.v.Enter(context.WithoutCancel(w.ctx()), asleep.ID) }()
	w.until("blog", site.Waking)
	closed := make(chan error, 1)
	go func() { closed <- w.v.Close(w.ctx()) }()
	release()
	w.ok(<-closed)
	if row, _ := w.store.Row(s.ID); row.State != site.Awake {
		t.Errorf("stored as %s", row.State)
	}
	if i, _ := w.driver.List(w.ctx()); i[0].Status != runtime.Running {
		t.Errorf("the site is %v", i[0].Status)
	}
}

func TestFileSessionsOfASiteAreCounted(t *testing.T) {
	w := newWorld(t)
	who := w.who("eleve")
	w.make("blog")
	var open []net.Conn
	for {
		conn, err := w.v.Files(w.ctx(), who, "blog")
		if err != nil {
			w.code(err, site.CodeSessions)
			break
		}
		open = append(open, conn)
		if len(open) > 100 {
			t.Fatal("nobody counts")
		}
	}
	_ = open[0].Close()
	conn, err := w.v.Files(w.ctx(), who, "blog")
	if err != nil {
		t.Fatalf("after one has been closed: %v", err)
	}
	for _, c := range append(open, conn) {
		_ = c.Close()
	}
}

func TestDoorsAreToldWhenASiteRests(t *testing.T) {
	w := newWorld(t)
	told := make(chan site.ID, 8)
	w.v.OnRest(func(id site.ID) { told <- id })
	s := w.make("blog")
	select {
	case id := <-told:
		t.Fatalf("%s rests before it has answered", id)
	default:
	}
	w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
	if id := <-told; id != s.ID {
		t.Fatalf("told of %s, want %s", id, s.ID)
	}
}
