package unshare

import (
	"testing"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/drivertest"
)

func TestContract(t *testing.T) {
	drivertest.Test(t, func(t *testing.T) drivertest.Rig {
		r := open(t)
		return drivertest.Rig{
			Driver: r.Driver,
			Spec:   func(slot int) runtime.Spec { return spec(t, slot) },
			Kill:   func(t *testing.T, id string) { r.crash(t, id) },
			HTTP:   true,
			Files:  true,
		}
	})
}

// crash kills a running container's init behind the driver's back.
func (r *rig) crash(t *testing.T, id string) {
	t.Helper()
	c, err := r.find(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.leave(c)
	if c.box == nil || !signalled(c.box.pidfd, unix.SIGKILL) {
		t.Fatal("nothing to crash")
	}
}
