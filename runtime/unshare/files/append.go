package files

import (
	"sync"
	"time"
)

// How long pieces of an append wait to learn how their client counts. A client sends its first piece first, so it is
// under way in another worker if it is not here yet. A piece at the old end is the first one of OpenSSH, or a later one
// of a client whose first is about to show: it waits a moment. Only a client that starts nowhere known waits long.
// A piece before the old end settles it: who counts from the start of the file has nothing to append there.
const (
	moment = 50 * time.Millisecond
	long   = time.Second
)

// tail places what is appended to a file. That is not left to the kernel: O_APPEND puts each write where the file ends
// just then, and our workers would shuffle the pieces of an upload that OpenSSH resumes. OpenSSH counts offsets from
// the start of the file, others from the first byte they append; the first piece tells which.
type tail struct {
	end   int64 // of the file when it was opened
	once  sync.Once
	known chan struct{} // closed once relative is set
	// relative is read after known only.
	relative bool
}

// place is where a piece that the client puts at off belongs in the file.
func (t *tail) place(off int64) int64 {
	wait := long
	switch {
	case off < t.end || off == 0:
		t.decide(true)
	case off == t.end:
		wait = moment
	}
	select {
	case <-t.known:
	case <-time.After(wait):
		t.decide(false)
	}
	if t.relative {
		off += t.end
	}
	return off
}

func (t *tail) decide(relative bool) {
	t.once.Do(func() {
		t.relative = relative
		close(t.known)
	})
}
