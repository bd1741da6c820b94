package remote

import (
	"context"
	"errors"
	"time"

	"petitpont/runtime"
)

const (
	exitsBuffer = 64              // exits kept for a slow reader; the oldest go first
	firstExits  = 2 * time.Second // how long Exits waits for the server's word that it is listening
	retryMin    = 50 * time.Millisecond
	retryMax    = 2 * time.Second
)

// Exits tells of ends nobody asked for until ctx ends; then the channel is closed. The connection behind it comes back
// by itself after a restart of the runtime; what ended in between is for the caller's next List. When the runtime is
// there, nothing that ends after Exits has returned is missed.
func (c *Client) Exits(ctx context.Context) <-chan runtime.Exit {
	out := make(chan runtime.Exit, exitsBuffer)
	listening := make(chan struct{}, 1)
	go c.follow(ctx, out, listening)
	select {
	case <-listening:
	case <-time.After(firstExits):
	case <-ctx.Done():
	}
	return out
}

// follow keeps a connection to the server open. listening gets a token when the first try has succeeded or failed.
func (c *Client) follow(ctx context.Context, out chan runtime.Exit, listening chan<- struct{}) {
	defer close(out)
	tried := func() {
		select {
		case listening <- struct{}{}:
		default:
		}
	}
	lost := false
	ready := func() {
		tried()
		if lost && c.Returned != nil {
			c.Returned()
		}
	}
	for wait := retryMin; ctx.Err() == nil; wait = min(2*wait, retryMax) {
		if c.followOnce(ctx, out, ready) {
			wait = retryMin
		}
		lost = true
		tried()
		pause(ctx, wait)
	}
}

// followOnce passes exits on until the connection ends, and tells whether there has been one.
func (c *Client) followOnce(ctx context.Context, out chan runtime.Exit, ready func()) (connected bool) {
	t, err := c.begin(ctx, request{Call: "exits"})
	if err != nil {
		return false
	}
	defer t.end()
	for {
		a, err := t.next()
		if err != nil {
			return connected && !errors.Is(err, ErrVersion)
		}
		if !connected {
			connected = true
			ready()
		}
		if a.Exit != nil {
			push(out, a.Exit.unpack())
		}
	}
}

// push adds e, at the cost of the oldest when nobody reads. Only follow writes to out.
func push(out chan runtime.Exit, e runtime.Exit) {
	for {
		select {
		case out <- e:
			return
		default:
		}
		select {
		case <-out:
		default:
		}
	}
}
