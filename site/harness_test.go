package site_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"petitpont/runtime/fake"
	"petitpont/site"
	"petitpont/site/sitetest"
)

// world is a service with all it stands on; what is below survives a restart of the service.
type world struct {
	t      *testing.T
	driver *fake.Driver
	store  *sitetest.Store
	people *sitetest.Directory
	cfg    site.Config
	v      *site.Service
}

func newWorld(t *testing.T, change ...func(*site.Config)) *world {
	t.Helper()
	w := &world{t: t, driver: fake.New(t.TempDir()), store: sitetest.NewStore(), people: sitetest.NewDirectory()}
	t.Cleanup(func() { _ = w.driver.Close() })
	w.cfg = site.Config{
		Driver: w.driver, Store: w.store, Directory: w.people, Domain: "localhost",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Every: time.Hour, Again: time.Hour,
		ReadHost: func() (site.HostReading, error) { return site.HostReading{MemoryMax: 8 << 30, DiskMax: 1 << 40}, nil },
	}
	for _, c := range change {
		c(&w.cfg)
	}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	v, err := site.Open(w.t.Context(), w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.v = v
	w.t.Cleanup(func() { w.close(v) })
}

func (w *world) close(v *site.Service) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // at once: what goes on is broken off
	_ = v.Close(ctx)
}

// restart is a service that died and came again: what it was doing is broken off.
func (w *world) restart() {
	w.t.Helper()
	w.close(w.v)
	w.open()
}

func (w *world) who(login string) site.Identity { return w.people.Who(login) }

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	w.t.Cleanup(cancel)
	return ctx
}

// make creates a site of eleve and waits until it is awake.
func (w *world) make(name string) site.Site {
	w.t.Helper()
	if _, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: name}); err != nil {
		w.t.Fatalf("create %s: %v", name, err)
	}
	return w.until(name, site.Awake)
}

// until waits for a site to be in a state, by looking again.
func (w *world) until(name string, want site.State) site.Site {
	w.t.Helper()
	var s site.Site
	w.retry(name+" is "+string(want), func() bool {
		s = w.find(name)
		return s.State == want
	})
	return s
}

func (w *world) find(name string) site.Site {
	w.t.Helper()
	s, err := w.v.Find(w.t.Context(), w.who("admin"), name)
	if err != nil {
		w.t.Fatalf("find %s: %v", name, err)
	}
	return s
}

func (w *world) retry(fact string, seen func() bool) {
	w.t.Helper()
	ctx := w.ctx()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !seen() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("waited for: %s", fact)
		}
	}
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) await(label string, n int) {
	w.t.Helper()
	if err := w.driver.Await(w.ctx(), label, n); err != nil {
		w.t.Fatalf("waited for step %s: %v", label, err)
	}
}

// code wants an *Error with the code and returns its arguments.
func (w *world) code(err error, want site.Code) site.Args {
	w.t.Helper()
	var e *site.Error
	if !errors.As(err, &e) || e.Code != want {
		w.t.Fatalf("got %v, want %s", err, want)
	}
	return e.Args
}

// enter is a visit.
func (w *world) enter(s site.Site) {
	w.t.Helper()
	addr, leave, err := w.v.Enter(w.ctx(), s.ID)
	if err != nil {
		w.t.Fatalf("enter %s: %v", s.Name, err)
	}
	defer leave()
	if !addr.IsValid() {
		w.t.Fatalf("enter %s: address %v", s.Name, addr)
	}
}

// asleep puts an awake site to rest, wanted up, as its idle timer would have done.
func (w *world) asleep(name string) site.Site {
	w.t.Helper()
	s := w.find(name)
	w.ok(w.v.Stop(w.t.Context(), w.who("eleve"), name))
	w.until(name, site.Asleep)
	w.store.Edit(s.ID, func(s *site.Site) { s.Want = site.Up })
	w.restart()
	return w.until(name, site.Asleep)
}
