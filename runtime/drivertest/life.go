package drivertest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"petitpont/runtime"
)

// How a container comes, runs, rests and goes.
var life = []Sentence{
	{"templates lists the one a spec names", func(t *testing.T, r *Run) {
		all, err := r.Driver.Templates(r.ctx)
		r.ok("templates", err)
		want := r.Spec(1).Template
		if !slices.ContainsFunc(all, func(x runtime.Template) bool { return x.Name == want && x.Version != "" }) {
			t.Errorf("%q with a version is not among %v", want, all)
		}
	}},
	{"a created one is stopped and pinned to a version", func(t *testing.T, r *Run) {
		s := r.create()
		i := r.info(s.ID)
		if i.Status != runtime.Stopped || i.Slot != s.Slot || !strings.HasPrefix(i.Template, s.Template+"@") {
			t.Errorf("list shows %+v", i)
		}
		if i.Addr.IsValid() || !i.StartedAt.IsZero() {
			t.Errorf("a stopped one has the address %v since %v", i.Addr, i.StartedAt)
		}
	}},
	{"create twice is ErrExist", func(_ *testing.T, r *Run) {
		s := r.create()
		r.is("second create", r.Driver.Create(r.ctx, s), runtime.ErrExist)
		r.status(s.ID, runtime.Stopped)
	}},
	{"unknown template leaves nothing", func(_ *testing.T, r *Run) {
		s := r.spec()
		s.Template = "no-such-template"
		r.is("create", r.Driver.Create(r.ctx, s), runtime.ErrNoTemplate)
		r.status(s.ID, runtime.Absent)
		s.Template = r.Spec(s.Slot).Template
		r.ok("create with a known template afterwards", r.Driver.Create(r.ctx, s))
	}},
	{"start answers", func(t *testing.T, r *Run) {
		s, addr := r.running()
		r.answers(addr, "/")
		i := r.info(s.ID)
		if i.Status != runtime.Running || i.Addr != addr || i.StartedAt.IsZero() {
			t.Errorf("list shows %+v, want running at %v", i, addr)
		}
	}},
	{"start twice is one start and the same address", func(t *testing.T, r *Run) {
		s, addr := r.running()
		since := r.info(s.ID).StartedAt
		if again := r.start(s.ID); again != addr {
			t.Errorf("second start answered %v, want %v", again, addr)
		}
		if again := r.info(s.ID).StartedAt; !again.Equal(since) {
			t.Errorf("it was started again at %v, first at %v", again, since)
		}
	}},
	{"a stopped one no longer answers", func(t *testing.T, r *Run) {
		s, addr := r.running()
		r.stop(s.ID)
		r.status(s.ID, runtime.Stopped)
		if !r.HTTP {
			return
		}
		ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
		defer cancel()
		if code, _, err := r.get(ctx, addr, "/"); err == nil {
			t.Errorf("it still answers %d", code)
		}
	}},
	{"stop of a stopped one is a no-op", func(_ *testing.T, r *Run) {
		s := r.create()
		r.stop(s.ID)
		r.start(s.ID)
		r.stop(s.ID)
		r.stop(s.ID)
		r.status(s.ID, runtime.Stopped)
	}},
	{"starts again after a stop", func(_ *testing.T, r *Run) {
		s, _ := r.running()
		for range 2 {
			r.stop(s.ID)
			r.answers(r.start(s.ID), "/")
		}
		r.status(s.ID, runtime.Running)
	}},
	{"frozen it does not answer, thawed it does", func(t *testing.T, r *Run) {
		s, addr := r.running()
		r.ok("freeze", r.Driver.Freeze(r.ctx, s.ID))
		r.ok("freeze again", r.Driver.Freeze(r.ctx, s.ID))
		r.status(s.ID, runtime.Frozen)
		if r.HTTP {
			ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
			defer cancel()
			if code, _, err := r.get(ctx, addr, "/"); err == nil {
				t.Errorf("frozen, it answers %d", code)
			}
		}
		r.ok("thaw", r.Driver.Thaw(r.ctx, s.ID))
		r.ok("thaw again", r.Driver.Thaw(r.ctx, s.ID))
		r.status(s.ID, runtime.Running)
		r.answers(addr, "/")
	}},
	{"freeze then stop", func(_ *testing.T, r *Run) {
		s, _ := r.running()
		r.ok("freeze", r.Driver.Freeze(r.ctx, s.ID))
		r.stop(s.ID)
		r.status(s.ID, runtime.Stopped)
		r.answers(r.start(s.ID), "/")
	}},
	{"freeze and thaw of a stopped one are ErrNotRunning", func(_ *testing.T, r *Run) {
		s := r.create()
		r.is("freeze", r.Driver.Freeze(r.ctx, s.ID), runtime.ErrNotRunning)
		r.is("thaw", r.Driver.Thaw(r.ctx, s.ID), runtime.ErrNotRunning)
		r.status(s.ID, runtime.Stopped)
	}},
	{"destroy takes a running one, and its ID is free again", func(_ *testing.T, r *Run) {
		s, _ := r.running()
		r.ok("destroy", r.Driver.Destroy(r.ctx, s.ID))
		r.status(s.ID, runtime.Absent)
		r.ok("create under the same ID", r.Driver.Create(r.ctx, s))
		r.status(s.ID, runtime.Stopped)
	}},
	{"destroy takes a frozen one", func(_ *testing.T, r *Run) {
		s, _ := r.running()
		r.ok("freeze", r.Driver.Freeze(r.ctx, s.ID))
		r.ok("destroy", r.Driver.Destroy(r.ctx, s.ID))
		r.status(s.ID, runtime.Absent)
	}},
	{"destroy of an absent one is a no-op", func(_ *testing.T, r *Run) {
		s := r.spec()
		r.ok("destroy", r.Driver.Destroy(r.ctx, s.ID))
		r.ok("create", r.Driver.Create(r.ctx, s))
		r.ok("destroy", r.Driver.Destroy(r.ctx, s.ID))
		r.ok("destroy again", r.Driver.Destroy(r.ctx, s.ID))
	}},
	{"list shows each in its status", func(t *testing.T, r *Run) {
		want := map[string]runtime.Status{
			r.create().ID: runtime.Stopped,
		}
		run, _ := r.running()
		ice, _ := r.running()
		r.ok("freeze", r.Driver.Freeze(r.ctx, ice.ID))
		want[run.ID], want[ice.ID] = runtime.Running, runtime.Frozen
		addrs := map[string]bool{}
		for id, status := range want {
			i := r.info(id)
			if i.Status != status {
				t.Errorf("%s is shown %v, want %v", id, i.Status, status)
			}
			if up := status != runtime.Stopped; i.Addr.IsValid() != up || i.StartedAt.IsZero() == up {
				t.Errorf("%v one has the address %v since %v", status, i.Addr, i.StartedAt)
			} else if up && addrs[i.Addr.String()] {
				t.Errorf("two containers at %v", i.Addr)
			} else {
				addrs[i.Addr.String()] = true
			}
		}
	}},
	{"steps are reported in their order", func(t *testing.T, r *Run) {
		var seen []runtime.Step
		ctx := runtime.WithSteps(r.ctx, func(s runtime.Step) { seen = append(seen, s) })
		s := r.spec()
		r.ok("create", r.Driver.Create(ctx, s))
		_, err := r.Driver.Start(ctx, s.ID)
		r.ok("start", err)
		want := []runtime.Step{runtime.StepDisk, runtime.StepNetwork, runtime.StepStart, runtime.StepAnswer}
		if !slices.Equal(seen, want) {
			t.Errorf("reported %v, want %v", seen, want)
		}
	}},
	{"exits tells of an unasked end but not of an asked one", func(t *testing.T, r *Run) {
		ctx, cancel := context.WithCancel(r.ctx)
		defer cancel()
		exits := r.Driver.Exits(ctx)
		asked, _ := r.running()
		r.stop(asked.ID)
		gone, _ := r.running()
		r.ok("destroy", r.Driver.Destroy(r.ctx, gone.ID))
		crashed, _ := r.running()
		r.Kill(t, crashed.ID)
		select {
		case e := <-exits:
			if e.ID != crashed.ID || e.At.IsZero() {
				t.Errorf("first told of %+v, want %s", e, crashed.ID)
			}
		case <-r.ctx.Done():
			t.Fatal("never told")
		}
		r.status(crashed.ID, runtime.Stopped)
		r.answers(r.start(crashed.ID), "/")
		cancel()
		r.until("the channel closes with its ctx", func() bool {
			select {
			case _, open := <-exits:
				return !open
			default:
				return false
			}
		})
	}},
}
