package site_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"petitpont/runtime"
	"petitpont/runtime/fake"
	"petitpont/site"
)

// TestStorm lets many people press everything at once while sites crash and the runtime stumbles. In the end every site
// can still be started, what the register says is what runs, and nothing was made twice.
func TestStorm(t *testing.T) {
	w := newWorld(t, func(c *site.Config) {
		c.Plans = site.DefaultPlans()
		p := c.Plans[site.Student]
		p.Sites = 100
		c.Plans[site.Student] = p
	})
	names := []string{"one", "two", "three", "four"}
	for _, n := range names {
		w.make(n)
	}
	w.driver.FailFor("start.answer", func(string) error {
		if rand.IntN(10) == 0 {
			return &runtime.StartError{Reason: runtime.ReasonEnded}
		}
		return nil
	})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(n), 1))
			for range 150 {
				if err := w.press(dice, names[dice.IntN(len(names))]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w.driver.Fail("start.answer", nil)
	w.ok(w.v.Reconcile(w.ctx()))
	w.settle(names)
}

// press does one thing at random; only answers that a person can be given are answers.
func (w *world) press(dice *rand.Rand, name string) error {
	who, ctx := w.who("eleve"), w.t.Context()
	s, err := w.v.Find(ctx, who, name)
	if err != nil {
		_, err = w.v.Create(ctx, who, site.New{Name: name})
		return expected(err)
	}
	switch dice.IntN(12) {
	case 0, 1, 2, 3:
		_, leave, err := w.v.Enter(ctx, s.ID)
		if err == nil {
			leave()
		}
		return expected(err)
	case 4:
		return expected(w.v.Start(ctx, who, name))
	case 5:
		return expected(w.v.Stop(ctx, who, name))
	case 6:
		return expected(w.v.Restart(ctx, who, name))
	case 7:
		w.driver.Kill(string(s.ID))
		return nil
	case 8:
		return w.v.Reconcile(ctx)
	case 9:
		conn, err := w.v.Files(ctx, who, name)
		if err == nil {
			err = conn.Close()
		}
		return expected(err)
	case 10:
		short, cancel := context.WithCancel(ctx)
		cancel()
		_, leave, err := w.v.Enter(short, s.ID)
		if err == nil {
			leave()
		}
		return expected(err)
	default:
		return expected(w.v.Delete(ctx, who, name, name))
	}
}

func expected(err error) error {
	var e *site.Error
	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, &e) && e.Code != site.CodeUnexpected {
		return nil
	}
	return fmt.Errorf("an answer for nobody: %w", err)
}

// settle brings every site up and compares the register, the driver and the store.
func (w *world) settle(names []string) {
	w.t.Helper()
	who := w.who("eleve")
	for _, name := range names {
		w.retry(name+" can be had and comes up", func() bool {
			s, err := w.v.Find(w.t.Context(), who, name)
			switch {
			case err != nil:
				_, _ = w.v.Create(w.t.Context(), who, site.New{Name: name})
			case s.State != site.Awake:
				_ = w.v.Start(w.t.Context(), who, name)
			}
			return err == nil && s.State == site.Awake && s.Want == site.Up
		})
	}
	w.ok(w.v.Reconcile(w.ctx()))
	seen, err := w.driver.List(w.ctx())
	w.ok(err)
	if len(seen) != len(names) {
		w.t.Errorf("%d containers for %d sites", len(seen), len(names))
	}
	for _, i := range seen {
		row, there := w.store.Row(site.ID(i.ID))
		if !there || i.Status != runtime.Running || row.State != site.Awake || row.Slot != i.Slot {
			w.t.Errorf("the driver shows %+v, the store %+v", i, row)
		}
	}
}

// lostAnswer is a driver whose first Create is done, but whose answer does not arrive.
type lostAnswer struct {
	*fake.Driver
	once sync.Once
}

func (d *lostAnswer) Create(ctx context.Context, s runtime.Spec) (err error) {
	err = d.Driver.Create(ctx, s)
	d.once.Do(func() { err = runtime.ErrDown })
	return err
}

func TestCreateWhoseAnswerWasLost(t *testing.T) {
	w := newWorld(t, func(c *site.Config) { c.Driver = &lostAnswer{Driver: c.Driver.(*fake.Driver)} })
	_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
	w.ok(err)
	if f := w.until("blog", site.Failed).Fault; f.Code != site.CodeRuntimeDown {
		t.Errorf("%+v", f)
	}
	w.ok(w.v.Start(w.ctx(), w.who("eleve"), "blog"))
	if s := w.until("blog", site.Awake); s.MadeAt.IsZero() {
		t.Errorf("%+v", s)
	}
}
