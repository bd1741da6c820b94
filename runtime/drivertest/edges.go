package drivertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"petitpont/runtime"
)

// Limits, bad calls, and calls that cross or break off.
var edges = []Sentence{
	{"limits change while running", func(t *testing.T, r *Run) {
		s, _ := r.running()
		l := s.Limits
		l.Memory = r.usage(s.ID).MemoryMax * 2
		r.ok("set limits", r.Driver.SetLimits(r.ctx, s.ID, l))
		if got := r.usage(s.ID).MemoryMax; got != l.Memory {
			t.Errorf("memory is held to %d bytes, want %d", got, l.Memory)
		}
		r.status(s.ID, runtime.Running)
	}},
	{"limits of a stopped one hold at its next start", func(t *testing.T, r *Run) {
		s := r.create()
		l := s.Limits
		l.Memory = 2 * r.usage(s.ID).MemoryMax
		r.ok("set limits", r.Driver.SetLimits(r.ctx, s.ID, l))
		r.start(s.ID)
		if got := r.usage(s.ID).MemoryMax; got != l.Memory {
			t.Errorf("memory is held to %d bytes, want %d", got, l.Memory)
		}
	}},
	{"an environment changed while running holds at the next start, and the list says that it waits", func(t *testing.T, r *Run) {
		s, _ := r.running()
		waits := func(when string, want bool) {
			if got := r.info(s.ID).Waits; got != want {
				t.Errorf("%s, list says that it waits: %v", when, got)
			}
		}
		waits("just started", false)
		r.ok("set env", r.Driver.SetEnv(r.ctx, s.ID, s.Env))
		waits("told the same again", false)
		r.ok("set env", r.Driver.SetEnv(r.ctx, s.ID, append(slices.Clone(s.Env), "LATER=1")))
		waits("told something else", true)
		r.status(s.ID, runtime.Running)
		r.stop(s.ID)
		waits("stopped", false)
		r.start(s.ID)
		waits("started again", false)
	}},
	{"what is no environment is refused, and changes nothing", func(t *testing.T, r *Run) {
		s, _ := r.running()
		for _, bad := range []string{"", "=x", "NO VALUE", "A B=1", "A=1\x00B=2"} {
			r.is(fmt.Sprintf("set env %q", bad), r.Driver.SetEnv(r.ctx, s.ID, []string{bad}), runtime.ErrInvalid)
		}
		if r.info(s.ID).Waits {
			t.Error("something was taken")
		}
	}},
	{"usage tells what it is held to, and a change of that", func(t *testing.T, r *Run) {
		s, _ := r.running()
		l := s.Limits
		l.Procs, l.Files, l.Terminals, l.Tmp = 40, 600, 10, 6<<20
		for range 2 {
			r.ok("set limits", r.Driver.SetLimits(r.ctx, s.ID, l))
			if u := r.usage(s.ID); u.ProcsMax != l.Procs || u.FilesMax != l.Files || u.TerminalsMax != l.Terminals || u.TmpMax != l.Tmp {
				t.Errorf("usage says %+v of %+v", u, l)
			}
			l.Procs, l.Files, l.Terminals, l.Tmp = 2*l.Procs, 2*l.Files, 2*l.Terminals, 2*l.Tmp
		}
	}},
	{"a disk never shrinks", func(t *testing.T, r *Run) {
		s := r.create()
		before := r.usage(s.ID).DiskMax
		l := s.Limits
		l.Disk = before / 2
		_ = r.Driver.SetLimits(r.ctx, s.ID, l) // may refuse
		if after := r.usage(s.ID).DiskMax; after < before {
			t.Errorf("it went from %d to %d bytes", before, after)
		}
	}},
	{"the ledger counts each disk as promised until it is destroyed", func(t *testing.T, r *Run) {
		look := func() runtime.Ledger {
			l, err := r.Driver.Ledger(r.ctx)
			r.ok("ledger", err)
			if l.Volume <= 0 || l.Reserve <= 0 || l.Used < 0 || l.Held > l.Used || l.Free > l.Volume-l.Reserve {
				t.Errorf("it says %+v", l)
			}
			return l
		}
		before := look()
		s := r.create()
		disk := s.Limits.Disk
		if got := look().Promised - before.Promised; got < disk || disk > 0 && got > disk {
			t.Errorf("%d more promised for a disk of %d", got, disk)
		}
		r.ok("destroy", r.Driver.Destroy(r.ctx, s.ID))
		if got := look().Promised; got != before.Promised {
			t.Errorf("%d promised afterwards, %d before", got, before.Promised)
		}
	}},
	{"what lives and what rests is no stray", func(t *testing.T, r *Run) {
		r.running()
		r.create()
		strays, err := r.Driver.Strays(r.ctx)
		r.ok("strays", err)
		if len(strays) != 0 {
			t.Errorf("%+v", strays)
		}
	}},
	{"usage moves", func(t *testing.T, r *Run) {
		s := r.create()
		if u := r.usage(s.ID); u.Procs != 0 || u.CPU != 0 || u.Memory != 0 || u.DiskMax <= 0 || u.InodesMax <= 0 {
			t.Errorf("stopped, it uses %+v", u)
		}
		r.start(s.ID)
		before := r.usage(s.ID)
		if before.Procs <= 0 || before.Memory <= 0 || before.MemoryMax <= 0 {
			t.Errorf("running, it uses %+v", before)
		}
		const size = 4 << 20
		script := fmt.Sprintf(`head -c %d /dev/urandom > big; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done`, size)
		if out := r.exec(s.ID, sh(script), ""); out.code != 0 {
			t.Fatalf("the writer ended with %+v", out)
		}
		r.until("disk, inodes and processor time move", func() bool {
			u := r.usage(s.ID)
			return u.Disk >= before.Disk+size && u.Inodes > before.Inodes && u.CPU > before.CPU
		})
		r.stop(s.ID)
		if u := r.usage(s.ID); u.Procs != 0 || u.CPU != 0 || u.Memory != 0 || u.Disk < size {
			t.Errorf("stopped again, it uses %+v", u)
		}
	}},
	{"a create broken off leaves nothing half-made", func(_ *testing.T, r *Run) {
		s := r.spec()
		ctx, cancel := context.WithCancel(r.ctx)
		defer cancel()
		err := r.Driver.Create(runtime.WithSteps(ctx, func(runtime.Step) { cancel() }), s)
		if err == nil { // it was quicker
			r.status(s.ID, runtime.Stopped)
			return
		}
		r.is("create", err, context.Canceled)
		r.status(s.ID, runtime.Absent)
		r.ok("create again", r.Driver.Create(r.ctx, s))
		r.answers(r.start(s.ID), "/")
	}},
	{"a create with an ended ctx makes nothing", func(t *testing.T, r *Run) {
		s := r.spec()
		ctx, cancel := context.WithCancel(r.ctx)
		cancel()
		if err := r.Driver.Create(ctx, s); err == nil {
			t.Error("it was made")
		}
		r.status(s.ID, runtime.Absent)
	}},
	{"a start broken off leaves nothing running", func(t *testing.T, r *Run) {
		for _, at := range []runtime.Step{runtime.StepNetwork, runtime.StepStart, runtime.StepAnswer} {
			s := r.create()
			ctx, cancel := context.WithCancel(r.ctx)
			_, err := r.Driver.Start(runtime.WithSteps(ctx, func(x runtime.Step) {
				if x == at {
					cancel()
				}
			}), s.ID)
			cancel()
			if err == nil {
				r.status(s.ID, runtime.Running)
			} else {
				r.is("start broken off at "+string(at), err, context.Canceled)
				r.status(s.ID, runtime.Stopped)
			}
			r.answers(r.start(s.ID), "/")
			if u := r.usage(s.ID); u.Procs <= 0 {
				t.Errorf("after %s it uses %+v", at, u)
			}
		}
	}},
	{"calls on different IDs may overlap", func(t *testing.T, r *Run) {
		var specs []runtime.Spec
		for range 4 {
			specs = append(specs, r.spec())
		}
		var all sync.WaitGroup
		for _, s := range specs {
			all.Go(func() {
				if err := r.wholeLife(s); err != nil {
					t.Errorf("slot %d: %v", s.Slot, err)
				}
			})
		}
		all.Wait()
		for _, s := range specs {
			r.status(s.ID, runtime.Absent)
		}
	}},
	{"calls on unknown IDs are ErrNotExist", func(_ *testing.T, r *Run) {
		for call, try := range r.calls() {
			r.is(call, try(r.Spec(1).ID), runtime.ErrNotExist)
		}
	}},
	{"IDs that are paths reach nothing", func(_ *testing.T, r *Run) {
		s := r.create()
		for _, id := range []string{"", ".", "..", "/", "../" + s.ID, s.ID + "/", "./" + s.ID, "*", s.ID + "\x00"} {
			for call, try := range r.calls() {
				r.is(fmt.Sprintf("%s %q", call, id), try(id), runtime.ErrNotExist, runtime.ErrInvalid)
			}
			_ = r.Driver.Destroy(r.ctx, id)
		}
		r.status(s.ID, runtime.Stopped)
		r.start(s.ID)
	}},
	{"invalid specs are ErrInvalid and leave nothing", func(_ *testing.T, r *Run) {
		for name, spoil := range invalid {
			s := r.spec()
			good := s.ID
			spoil(&s)
			r.is("create with "+name, r.Driver.Create(r.ctx, s), runtime.ErrInvalid)
			r.status(s.ID, runtime.Absent)
			r.status(good, runtime.Absent)
		}
	}},
}

// invalid are specs no driver may take (RULE ARG): what they hold could become a path, a name or an option.
var invalid = map[string]func(*runtime.Spec){
	"no ID":                   func(s *runtime.Spec) { s.ID = "" },
	"an ID with a slash":      func(s *runtime.Spec) { s.ID = "abcd/efghi" },
	"an ID that climbs":       func(s *runtime.Spec) { s.ID = ".." },
	"an ID like an option":    func(s *runtime.Spec) { s.ID = "-bcdefghij" },
	"an ID in capitals":       func(s *runtime.Spec) { s.ID = "ABCDEFGHIJ" },
	"an ID too short":         func(s *runtime.Spec) { s.ID = "abc" },
	"an ID too long":          func(s *runtime.Spec) { s.ID = "abcdefghijk" },
	"a negative slot":         func(s *runtime.Spec) { s.Slot = -1 },
	"a template that climbs":  func(s *runtime.Spec) { s.Template = "../" + s.Template },
	"a host name with a line": func(s *runtime.Spec) { s.Hostname = "a\nb" },
	"a negative limit":        func(s *runtime.Spec) { s.Limits.Memory = -1 },
	"an env without a name":   func(s *runtime.Spec) { s.Env = []string{"=x"} },
}

// calls are those that need a container, each by its name.
func (r *Run) calls() map[string]func(id string) error {
	d, ctx := r.Driver, r.ctx
	return map[string]func(id string) error{
		"start":  func(id string) error { _, err := d.Start(ctx, id); return err },
		"stop":   func(id string) error { return d.Stop(ctx, id, grace) },
		"freeze": func(id string) error { return d.Freeze(ctx, id) },
		"thaw":   func(id string) error { return d.Thaw(ctx, id) },
		"limits": func(id string) error { return d.SetLimits(ctx, id, runtime.Limits{}) },
		"env":    func(id string) error { return d.SetEnv(ctx, id, nil) },
		"usage":  func(id string) error { _, err := d.Usage(ctx, id); return err },
		"files":  func(id string) error { _, err := d.Files(ctx, id); return err },
		"exec":   func(id string) error { _, err := d.Exec(ctx, id, sh("true")); return err },
		"dial":   func(id string) error { _, err := d.Dial(ctx, id, 80); return err },
	}
}

func (r *Run) wholeLife(s runtime.Spec) error {
	if err := r.Driver.Create(r.ctx, s); err != nil {
		return err
	}
	addr, err := r.Driver.Start(r.ctx, s.ID)
	if err != nil {
		return err
	}
	if r.HTTP {
		if _, _, err := r.get(r.ctx, addr, "/"); err != nil {
			return err
		}
	}
	if err := r.Driver.Stop(r.ctx, s.ID, grace); err != nil {
		return err
	}
	return r.Driver.Destroy(r.ctx, s.ID)
}
