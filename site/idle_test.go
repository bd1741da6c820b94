package site_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/fake"
	"petitpont/site"
)

const idle = 10 * time.Minute

// bubble runs a test in a testing/synctest bubble: time passes only when everybody waits.
func bubble(t *testing.T, name string, try func(t *testing.T, w *world), change ...func(*site.Config)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			plans := site.DefaultPlans()
			p := plans[site.Student]
			p.Idle = idle
			plans[site.Student] = p
			always := plans[site.Teacher]
			always.Idle = 0
			plans[site.Teacher] = always
			w := newWorld(t, append(change, func(c *site.Config) { c.Plans = plans })...)
			w.driver.Offline = true
			try(t, w)
			w.close(w.v)
		})
	})
}

// state looks once everything that can happen by now has happened.
func (w *world) state(name string, want site.State) {
	w.t.Helper()
	synctest.Wait()
	if got := w.find(name).State; got != want {
		w.t.Errorf("%s is %s, want %s", name, got, want)
	}
}

func TestIdle(t *testing.T) {
	bubble(t, "a site nobody uses sleeps after its idle time, not before", func(_ *testing.T, w *world) {
		w.make("blog")
		time.Sleep(idle - time.Second)
		w.state("blog", site.Awake)
		time.Sleep(2 * time.Second)
		w.state("blog", site.Asleep)
	})
	bubble(t, "each visit gives it the whole time again", func(t *testing.T, w *world) {
		s := w.make("blog")
		for range 5 {
			time.Sleep(idle - time.Second)
			w.enter(s)
		}
		w.state("blog", site.Awake)
		if n := w.driver.Starts(string(s.ID)); n != 1 {
			t.Errorf("it slept meanwhile: %d starts", n)
		}
		time.Sleep(idle + time.Second)
		w.state("blog", site.Asleep)
	})
	bubble(t, "a request under way keeps it awake for as long as it takes", func(t *testing.T, w *world) {
		s := w.make("blog")
		_, leave, err := w.v.Enter(w.ctx(), s.ID)
		w.ok(err)
		time.Sleep(24 * time.Hour)
		w.state("blog", site.Awake)
		leave()
		leave() // twice counts once
		time.Sleep(idle - time.Second)
		w.state("blog", site.Awake)
		time.Sleep(2 * time.Second)
		w.state("blog", site.Asleep)
		if n := w.driver.Reached("stop"); n != 1 {
			t.Errorf("%d stops", n)
		}
	})
	bubble(t, "an open file session keeps it awake", func(_ *testing.T, w *world) {
		w.make("blog")
		conn, err := w.v.Files(w.ctx(), w.who("eleve"), "blog")
		w.ok(err)
		time.Sleep(5 * idle)
		w.state("blog", site.Awake)
		w.ok(conn.Close())
		_ = conn.Close()
		time.Sleep(idle + time.Second)
		w.state("blog", site.Asleep)
	})
	bubble(t, "a file session does not wake it, and outlives nothing it should not", func(t *testing.T, w *world) {
		s := w.make("blog")
		time.Sleep(idle + time.Second)
		w.state("blog", site.Asleep)
		conn, err := w.v.Files(w.ctx(), w.who("eleve"), "blog")
		w.ok(err)
		w.state("blog", site.Asleep)
		if n := w.driver.Starts(string(s.ID)); n != 1 {
			t.Errorf("%d starts", n)
		}
		w.ok(conn.Close())
	})
	bubble(t, "a visit during the stop waits for it, then wakes", func(t *testing.T, w *world) {
		s := w.make("blog")
		release := w.driver.Hold("stop")
		time.Sleep(idle + time.Second)
		w.state("blog", site.Stopping)
		entered := make(chan error, 1)
		go func() { _, _, err := w.v.Enter(w.ctx(), s.ID); entered <- err }()
		synctest.Wait()
		select {
		case err := <-entered:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		release()
		w.ok(<-entered)
		w.state("blog", site.Awake)
		if n := w.driver.Starts(string(s.ID)); n != 2 {
			t.Errorf("%d starts", n)
		}
	})
	bubble(t, "a plan without idle time never sleeps", func(_ *testing.T, w *world) {
		_, err := w.v.Create(w.ctx(), w.who("prof"), site.New{Name: "cours"})
		w.ok(err)
		time.Sleep(1000 * time.Hour)
		w.state("cours", site.Awake)
	})
}

func TestHoldOff(t *testing.T) {
	bubble(t, "a site that fails is tried again after 5 s, then twice as long, at most 5 min", func(t *testing.T, w *world) {
		w.make("blog")
		time.Sleep(idle + time.Second)
		w.state("blog", site.Asleep)
		s := w.find("blog")
		w.driver.Fail("start.answer", &runtime.StartError{Reason: runtime.ReasonSilent})
		base := w.driver.Starts(string(s.ID))
		visit := func() { _, _, err := w.v.Enter(w.ctx(), s.ID); w.code(err, site.CodeSilent) }
		visit()
		tries := 1
		for _, pause := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
			pause *= time.Second
			time.Sleep(pause - time.Millisecond)
			visit()
			if got := w.driver.Starts(string(s.ID)) - base; got != tries {
				t.Fatalf("tried before %v: %d starts, want %d", pause, got, tries)
			}
			time.Sleep(2 * time.Millisecond)
			visit()
			tries++
			if got := w.driver.Starts(string(s.ID)) - base; got != tries {
				t.Fatalf("not tried after %v: %d starts, want %d", pause, got, tries)
			}
		}
		w.driver.Fail("start.answer", nil)
		w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog")) // a person need not wait
		w.state("blog", site.Awake)
	})
}

func TestCrash(t *testing.T) {
	bubble(t, "a site that ends is started again", func(t *testing.T, w *world) {
		s := w.make("blog")
		w.driver.Kill(string(s.ID))
		w.state("blog", site.Awake)
		if n := w.driver.Starts(string(s.ID)); n != 2 {
			t.Errorf("%d starts", n)
		}
	})
	bubble(t, "the fifth end in ten minutes pauses it, and only a person starts it again", func(t *testing.T, w *world) {
		s := w.make("blog")
		for n := range 5 {
			w.state("blog", site.Awake)
			time.Sleep(time.Minute)
			log := "later words"
			if n == 0 {
				log = "starting\nnginx: unknown directive\n"
			}
			w.driver.KillWith(runtime.Exit{ID: string(s.ID), Log: log})
		}
		w.state("blog", site.Failed)
		f := w.find("blog").Fault
		if f.Code != site.CodeLooping || f.Args["n"] != "5" || f.Args["cause"] != "nginx: unknown directive" {
			t.Errorf("%+v", f)
		}
		time.Sleep(24 * time.Hour)
		_, _, err := w.v.Enter(w.ctx(), s.ID)
		w.code(err, site.CodeLooping)
		if n := w.driver.Starts(string(s.ID)); n != 5 {
			t.Errorf("%d starts", n)
		}
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "blog"))
		w.state("blog", site.Awake)
		w.driver.Kill(string(s.ID)) // counted from the beginning
		w.state("blog", site.Awake)
	})
	bubble(t, "ends further apart do not add up", func(_ *testing.T, w *world) {
		s := w.make("blog")
		for range 12 {
			w.driver.Kill(string(s.ID))
			w.state("blog", site.Awake)
			time.Sleep(150 * time.Second) // 4 within ten minutes
		}
		w.state("blog", site.Awake)
	})
	bubble(t, "an end told before the start has answered is not lost", func(t *testing.T, w *world) {
		s := w.make("blog")
		w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "blog"))
		w.state("blog", site.Asleep)
		w.cfg.Driver.(*shortLived).armed = true
		w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
		time.Sleep(time.Second)
		w.state("blog", site.Awake)
		if i := w.seen(s); i.Status != runtime.Running || w.driver.Starts(string(s.ID)) != 3 {
			t.Errorf("the driver shows %v after %d starts", i.Status, w.driver.Starts(string(s.ID)))
		}
	}, func(c *site.Config) { c.Driver = &shortLived{Driver: c.Driver.(*fake.Driver)} })
	bubble(t, "old news of an earlier start changes nothing", func(t *testing.T, w *world) {
		s := w.make("blog")
		time.Sleep(time.Minute)
		w.ok(w.v.Restart(w.ctx(), w.who("eleve"), "blog"))
		w.state("blog", site.Awake)
		for range 10 { // counted, they would pause it
			w.v.TakeExit(runtime.Exit{ID: string(s.ID), At: time.Now().Add(-30 * time.Second)})
			w.state("blog", site.Awake)
		}
		if n := w.driver.Starts(string(s.ID)); n != 2 {
			t.Errorf("%d starts", n)
		}
	})
}

// shortLived is a driver whose next start, once armed, answers a site that has ended already.
type shortLived struct {
	*fake.Driver
	armed bool
}

func (d *shortLived) Start(ctx context.Context, id string) (netip.AddrPort, error) {
	addr, err := d.Driver.Start(ctx, id)
	if d.armed {
		d.armed = false
		d.Kill(id)
		time.Sleep(time.Millisecond) // in the bubble: until everybody has taken the news
	}
	return addr, err
}

func TestRevocation(t *testing.T) {
	login := func(w *world) site.Identity {
		w.t.Helper()
		who, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		return who
	}
	bubble(t, "a person's file sessions end with them", func(t *testing.T, w *world) {
		w.make("blog")
		who := login(w)
		conn, err := w.v.Files(w.ctx(), who, "blog")
		w.ok(err)
		ended := w.v.Revoked(who)
		w.ok(w.v.Revoke(w.ctx(), who.Key))
		<-ended
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the session still speaks")
		}
		<-w.v.Revoked(who) // the old identity is over for good
		again := login(w)
		select {
		case <-w.v.Revoked(again):
			t.Error("a new session is over at once")
		default:
		}
		time.Sleep(idle + time.Second)
		w.state("blog", site.Asleep) // the ended session no longer counts
	})
	bubble(t, "it outlives a restart", func(_ *testing.T, w *world) {
		who := login(w)
		w.ok(w.v.Revoke(w.ctx(), who.Key))
		w.restart()
		<-w.v.Revoked(who)
	})
	bubble(t, "others are not touched", func(t *testing.T, w *world) {
		who := login(w)
		w.ok(w.v.Revoke(w.ctx(), w.who("prof").Key))
		select {
		case <-w.v.Revoked(who):
			t.Error("eleve was revoked with prof")
		default:
		}
	})
	bubble(t, "a store that cannot tell ends the session", func(_ *testing.T, w *world) {
		w.store.SetFail(func(string) error { return context.DeadlineExceeded })
		<-w.v.Revoked(w.who("eleve"))
		w.store.SetFail(nil)
	})
	bubble(t, "a site that has gone is over", func(_ *testing.T, w *world) {
		s := w.make("blog")
		ended := w.v.RevokedSite(s.ID)
		w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
		<-ended
		<-w.v.RevokedSite(s.ID)
	})
}
