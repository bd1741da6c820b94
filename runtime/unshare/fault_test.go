package unshare

import (
	"context"
	"errors"
	"testing"
	"time"

	"petitpont/runtime"
)

var errFault = errors.New("fault for the test")

// TestAFailedStepLeavesNothing makes each labelled step fail in turn, and counts before and after.
func TestAFailedStepLeavesNothing(t *testing.T) {
	r := open(t)
	for _, step := range []string{"make folder", "clone image", "write record", "publish", "make durable"} {
		t.Run("create/"+step, func(t *testing.T) {
			s := spec(t, 1)
			r.failsAt(t, step, func() error { return r.Create(t.Context(), s) })
			r.create(t, s)
			r.destroy(t, s.ID)
		})
	}
	s := r.create(t, spec(t, 1))
	for _, step := range []string{
		"make cgroup", "make run folder", "clone", "attach image", "clone template", "idmap",
		"attach network", "write state", "go", "start services", "wait for answer",
	} {
		t.Run("start/"+step, func(t *testing.T) {
			r.failsAt(t, step, func() error { _, err := r.Start(t.Context(), s.ID); return err })
			if got := r.status(t, s.ID); got != runtime.Stopped {
				t.Errorf("it is %v", got)
			}
		})
	}
	t.Run("files/open files", func(t *testing.T) {
		r.failsAt(t, "open files", func() error { _, err := r.Files(t.Context(), s.ID); return err })
	})
	r.start(t, s.ID)
}

// failsAt wants call to fail with the fault of that step, and nothing to be there afterwards that was not before.
func (r *rig) failsAt(t *testing.T, step string, call func() error) {
	t.Helper()
	before := r.count(t)
	r.fault = func(label string) error {
		if label == step {
			return errFault
		}
		return nil
	}
	err := call()
	r.fault = nil
	if !errors.Is(err, errFault) {
		t.Fatalf("error %v is not the fault", err)
	}
	if after := r.count(t); after != before {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
}

func (r *rig) destroy(t testing.TB, id string) {
	t.Helper()
	if err := r.Destroy(context.Background(), id); err != nil {
		t.Error(err)
	}
}

func TestAWholeLifeLeavesNothing(t *testing.T) {
	r := open(t)
	before := r.count(t)
	s := spec(t, 3)
	r.running(t, s)
	during := r.count(t)
	if during.Sites != 1 || during.Boxes != 1 || during.Cgroups != 1 || during.Processes == 0 || during.Loops != 1 || during.Mounts != 0 || during.Links != before.Links+1 {
		t.Errorf("running, it has %+v", during) // the counter sees what there is
	}
	if err := r.Stop(t.Context(), s.ID, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	stopped := before
	stopped.Sites = 1
	if after := r.count(t); after != stopped {
		t.Errorf("stopped, it has %+v, want %+v", after, stopped)
	}
	r.start(t, s.ID)
	r.destroy(t, s.ID)
	if after := r.count(t); after != before {
		t.Errorf("destroyed, it leaves %+v, before there was %+v", after, before)
	}
}

func TestWhyAStartFails(t *testing.T) {
	r := open(t)
	reason := func(t *testing.T, id string, want runtime.StartReason) *runtime.StartError {
		t.Helper()
		before := r.count(t)
		_, err := r.Start(t.Context(), id)
		var s *runtime.StartError
		if !errors.As(err, &s) || s.Reason != want {
			t.Fatalf("error %v, want reason %s", err, want)
		}
		if after := r.count(t); after != before {
			t.Errorf("before %+v\nafter  %+v", before, after)
		}
		return s
	}
	t.Run("a service that ends, with its last words", func(t *testing.T) {
		s := spec(t, 1)
		r.running(t, s)
		r.sh(t, s.ID, "echo 'rubbish;' > /etc/nginx/nginx.conf", true)
		if err := r.Stop(t.Context(), s.ID, time.Second); err != nil {
			t.Fatal(err)
		}
		if e := reason(t, s.ID, runtime.ReasonEnded); !contains(e.Log, "rubbish") || len(e.Log) > ringSize {
			t.Errorf("its log is %q", e.Log)
		}
	})
	t.Run("no memory", func(t *testing.T) {
		s := spec(t, 2)
		r.create(t, s)
		c, err := r.find(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		c.record.Spec.Limits.Memory = 3 << 20 // less than any web server needs, and less than Create takes
		r.leave(c)
		reason(t, s.ID, runtime.ReasonMemory)
	})
	t.Run("a damaged disk", func(t *testing.T) {
		s := r.create(t, spec(t, 3))
		damage(t, r.image(s.ID))
		reason(t, s.ID, runtime.ReasonDisk)
	})
	t.Run("nobody answers", func(t *testing.T) {
		s := spec(t, 4)
		s.Services = []string{"php"}
		r.create(t, s)
		defer func(usual time.Duration) { r.Answer = usual }(r.Answer)
		r.Answer = 200 * time.Millisecond
		reason(t, s.ID, runtime.ReasonSilent)
	})
}
