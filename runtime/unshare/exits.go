package unshare

import (
	"context"
	"sync"

	"petitpont/runtime"
)

// exits hands every end nobody asked for to every listener. A slow one loses the oldest.
type exits struct {
	mu     sync.Mutex
	closed bool
	out    map[chan runtime.Exit]struct{}
}

const exitsKept = 256

// Exits implements runtime.Driver.
func (d *Driver) Exits(ctx context.Context) <-chan runtime.Exit {
	ch := make(chan runtime.Exit, exitsKept)
	d.exits.mu.Lock()
	defer d.exits.mu.Unlock()
	if d.exits.closed {
		close(ch)
		return ch
	}
	if d.exits.out == nil {
		d.exits.out = map[chan runtime.Exit]struct{}{}
	}
	d.exits.out[ch] = struct{}{}
	context.AfterFunc(ctx, func() { d.exits.drop(ch) })
	return ch
}

func (x *exits) drop(ch chan runtime.Exit) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.out[ch]; ok {
		delete(x.out, ch)
		close(ch)
	}
}

func (x *exits) tell(e runtime.Exit) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for ch := range x.out {
		for sent := false; !sent; {
			select {
			case ch <- e:
				sent = true
			default:
				select {
				case <-ch:
				default:
				}
			}
		}
	}
}

func (x *exits) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	for ch := range x.out {
		close(ch)
	}
	x.out = nil
}
