package remote

import (
	"context"
	"sync"
)

// locks is one lock per container, so that the driver sees one call about it at a time, however many clients call
// (the promise of runtime.Driver). The zero value is ready.
type locks struct {
	mu   sync.Mutex
	held map[string]*turn
}

// turn is the lock of one ID while anybody holds or awaits it.
type turn struct {
	free  chan struct{} // holds a token while nobody has the lock
	users int           // guarded by locks.mu
}

// lock waits for id's turn, or for ctx. unlock is nil with an error.
func (l *locks) lock(ctx context.Context, id string) (unlock func(), err error) {
	t := l.join(id)
	select {
	case <-t.free:
		return func() {
			t.free <- struct{}{}
			l.leave(id, t)
		}, nil
	case <-ctx.Done():
		l.leave(id, t)
		return nil, ctx.Err()
	}
}

func (l *locks) join(id string) *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*turn{}
	}
	t := l.held[id]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		l.held[id] = t
	}
	t.users++
	return t
}

func (l *locks) leave(id string, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(l.held, id)
	}
}
