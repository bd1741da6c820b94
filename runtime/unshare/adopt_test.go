package unshare

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// leaveAndReturn closes the driver and opens it again, as a restart of the runtime does (RULE APART).
func (r *rig) leaveAndReturn(t *testing.T, between func()) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	between()
	r.reopen(t, r.Config)
}

func TestARunningSiteOutlivesTheRuntime(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	addr := r.running(t, s)
	pid := r.box0(t, s.ID).state.PID
	r.leaveAndReturn(t, func() { answers(t, addr) })
	if got := r.status(t, s.ID); got != runtime.Running {
		t.Fatalf("found %v", got)
	}
	if again := r.start(t, s.ID); again != addr || r.box0(t, s.ID).state.PID != pid {
		t.Error("it was started a second time")
	}
	if out := r.sh(t, s.ID, "echo inside", false); out != "inside\n" {
		t.Errorf("exec says %q", out)
	}
	exits := r.Exits(t.Context())
	r.crash(t, s.ID)
	if e := <-exits; e.ID != s.ID {
		t.Errorf("told of %+v", e)
	}
	until(t, "nothing is left of it", func() bool { c := r.count(t); return c.Boxes+c.Cgroups+c.Loops == 0 })
	answers(t, r.start(t, s.ID))
}

func TestAFrozenSiteIsAdoptedFrozen(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	addr := r.running(t, s)
	if err := r.Freeze(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	r.leaveAndReturn(t, func() {})
	if got := r.status(t, s.ID); got != runtime.Frozen {
		t.Errorf("found %v", got)
	}
	if err := r.Thaw(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	answers(t, addr)
}

func TestASiteThatDiedMeanwhileIsSwept(t *testing.T) {
	r := open(t)
	before := r.count(t)
	s := spec(t, 1)
	r.running(t, s)
	pid := r.box0(t, s.ID).state.PID
	r.leaveAndReturn(t, func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
	})
	if got := r.status(t, s.ID); got != runtime.Stopped {
		t.Errorf("found %v", got)
	}
	before.Sites = 1
	if after := r.count(t); after != before {
		t.Errorf("left %+v, want %+v", after, before)
	}
	answers(t, r.start(t, s.ID))
}

// A PID is used again by the kernel: only with the same start time it is the same process.
func TestAnotherProcessWithThePIDOfABoxIsLeftAlone(t *testing.T) {
	r := open(t)
	s := r.create(t, spec(t, 1))
	other := exec.Command("sleep", "1000")
	other.ExtraFiles = []*os.File{os.Stdin, os.Stdin} // it has a descriptor 4, as init does
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	r.leaveAndReturn(t, func() {
		dir := r.boxDir(s.ID)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := writeJSON(filepath.Join(dir, "state.json"), state{PID: other.Process.Pid, Born: 1, Running: true}, false); err != nil {
			t.Fatal(err)
		}
	})
	if got := r.status(t, s.ID); got != runtime.Stopped {
		t.Errorf("taken for a %v site", got)
	}
	r.destroy(t, s.ID)
	if err := other.Process.Signal(unix.Signal(0)); err != nil {
		t.Error("the other process was killed:", err)
	}
}

// A runtime that dies between clone and "go" leaves a cgroup with a process and no state.
func TestHalfMadeBoxesAndSitesAreSwept(t *testing.T) {
	r := open(t)
	before := r.count(t)
	id := random(t, 10)
	stray := exec.Command("sleep", "1000")
	r.leaveAndReturn(t, func() {
		g, err := r.groups.make(id, withDefaults(runtime.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		if err := stray.Start(); err != nil {
			t.Fatal(err)
		}
		for _, d := range g.(v1Group).dirs {
			if err := d.write("cgroup.procs", itoa(stray.Process.Pid)); err != nil {
				t.Fatal(err)
			}
		}
		go func() { _ = stray.Wait() }()
		for _, dir := range []string{r.boxDir(id), r.siteDir("." + id + ".new"), r.siteDir("." + id + ".gone")} {
			if err := os.MkdirAll(filepath.Join(dir, "x"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	})
	if after := r.count(t); after != before {
		t.Errorf("left %+v, want %+v", after, before)
	}
}

func TestShutdownEndsEverythingButTheDisks(t *testing.T) {
	r := open(t)
	var ids []string
	for slot := range 3 {
		s := spec(t, slot)
		r.running(t, s)
		ids = append(ids, s.ID)
	}
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if c := r.count(t); c.Boxes+c.Cgroups+c.Processes+c.Loops+c.Mounts != 0 || c.Sites != 3 {
		t.Errorf("left %+v", c)
	}
	r.reopen(t, r.Config)
	for _, id := range ids {
		if got := r.status(t, id); got != runtime.Stopped {
			t.Errorf("found %s %v", id, got)
		}
	}
	answers(t, r.start(t, ids[0]))
}

// box0 is the box of a container, looked at between calls.
func (r *rig) box0(t testing.TB, id string) *box {
	t.Helper()
	c, err := r.find(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.leave(c)
	if c.box == nil {
		t.Fatal("no box stands")
	}
	return c.box
}

// answers wants the site's web server to answer.
func answers(t testing.TB, addr netip.AddrPort) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if !untilAnswer(ctx, addr, 0) {
		t.Error("it does not answer")
	}
}
