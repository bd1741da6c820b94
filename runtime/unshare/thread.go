package unshare

import (
	goruntime "runtime"

	"golang.org/x/sys/unix"
)

// aside runs f on a thread of its own and waits. The thread ends with f, so f may join a cgroup or a namespace:
// nothing else will ever run there. The process's first thread cannot end, Go only parks it, so it is passed over.
func aside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		goruntime.LockOSThread() // never unlocked on the way of f: that is what ends the thread
		if unix.Gettid() == unix.Getpid() {
			aside(f)
			goruntime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}
