package site_test

import (
	"context"
	"testing"

	"petitpont/site"
)

// tight is a world whose host has memory for n sites beside its reserve.
func tight(t *testing.T, n int) *world {
	t.Helper()
	var w *world
	w = newWorld(t, func(c *site.Config) {
		c.MemoryReserve, c.Wakes = 1<<30, 4
		c.ReadHost = func() (site.HostReading, error) {
			const site1 = 1 << 28
			r := site.HostReading{MemoryMax: 1<<30 + int64(n)*site1}
			all, err := w.driver.List(context.Background())
			for _, i := range all {
				if i.Addr.IsValid() {
					r.Memory += site1
				}
			}
			r.Memory += site1 // what is about to start needs as much
			return r, err
		}
	})
	return w
}

func TestAStartWithoutMemory(t *testing.T) {
	t.Run("puts the idle site that was used longest ago to sleep", func(t *testing.T) {
		w := tight(t, 2)
		one, two := w.make("one"), w.make("two")
		w.enter(one) // two is idle for longer now
		w.make("three")
		if s := w.until("two", site.Asleep); s.Want != site.Up {
			t.Errorf("a visit does not wake it: %s", s.Want)
		}
		w.until("one", site.Awake)
		w.enter(two) // comes back, at the cost of the next
		w.until("one", site.Asleep)
		w.until("three", site.Awake)
	})
	t.Run("leaves those alone that are in use, and is refused", func(t *testing.T) {
		w := tight(t, 1)
		one := w.make("one")
		_, leave, err := w.v.Enter(w.ctx(), one.ID)
		w.ok(err)
		_, err = w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "two"})
		w.ok(err)
		two := w.until("two", site.Failed)
		if two.Fault.Code != site.CodeHostMemory || two.MadeAt.IsZero() {
			t.Errorf("%+v", two.Fault)
		}
		_, _, err = w.v.Enter(w.ctx(), two.ID)
		w.code(err, site.CodeHostMemory)
		if n := w.driver.Starts(string(two.ID)); n != 0 {
			t.Errorf("it was started %d times", n)
		}
		w.until("one", site.Awake)
		leave()
		w.enter(two) // at once: the refusal holds nobody off
		w.until("one", site.Asleep)
	})
	t.Run("leaves those alone that never sleep", func(t *testing.T) {
		w := tight(t, 1)
		w.cfg.Plans = site.DefaultPlans()
		p := w.cfg.Plans[site.Student]
		p.Idle = 0
		w.cfg.Plans[site.Student] = p
		w.restart()
		w.make("one")
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "two"})
		w.ok(err)
		w.until("two", site.Failed)
		w.until("one", site.Awake)
	})
	t.Run("on a host that cannot be read, goes on", func(t *testing.T) {
		w := newWorld(t, func(c *site.Config) {
			c.ReadHost = func() (site.HostReading, error) { return site.HostReading{}, context.DeadlineExceeded }
		})
		w.make("one")
	})
	t.Run("is called off while another one looks for memory", func(t *testing.T) {
		w := tight(t, 1)
		w.make("one")
		release := w.driver.Hold("stop")
		defer release()
		for _, name := range []string{"two", "three"} {
			_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: name})
			w.ok(err)
			w.until(name, site.Waking)
		}
		w.await("stop", 1) // of one, for two or three
		for _, name := range []string{"two", "three"} {
			w.ok(w.v.Stop(w.ctx(), w.who("eleve"), name))
			w.until(name, site.Asleep)
		}
	})
	t.Run("ends with the service", func(t *testing.T) {
		w := tight(t, 1)
		one := w.make("one")
		release := w.driver.Hold("stop")
		defer release()
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "two"})
		w.ok(err)
		w.await("stop", 1)
		w.close(w.v) // would wait for ever
		if w.driver.Starts(string(one.ID)) != 1 {
			t.Error("it was started again")
		}
	})
}
