package site

import (
	"context"
	"errors"
	"time"

	"petitpont/runtime"
)

// arm looks at the site again after d; a plan without Idle never does. e.mu is held.
func (v *Service) arm(e *entry, d time.Duration) {
	e.disarmLocked()
	if v.plan(e.site.Role).Idle <= 0 || v.isClosed() {
		return
	}
	e.idle = time.AfterFunc(d, func() { v.lookIdle(e) })
}

// lookIdle puts a site to rest that nobody has used for long enough. It looks under the mutex that Enter uses, so a
// visitor is either counted here or comes after the stop has begun, and then waits for it.
func (v *Service) lookIdle(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = nil
	if e.site.State != Awake || e.inUse > 0 { // leave arms it again
		return
	}
	if left := e.used.Add(v.plan(e.site.Role).Idle).Sub(v.cfg.Now()); left > 0 {
		v.arm(e, left)
		return
	}
	e.demand.rest = true
	v.kick(e)
}

func (e *entry) disarm() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.disarmLocked()
}

func (e *entry) disarmLocked() {
	if e.idle != nil {
		e.idle.Stop()
		e.idle = nil
	}
}

// runStop ends what runs.
func (v *Service) runStop(ctx context.Context, e *entry) result {
	err := v.cfg.Driver.Stop(ctx, string(e.id), v.cfg.Grace)
	if errors.Is(err, runtime.ErrNotExist) {
		err = nil // nothing runs; reconcile tells what became of it
	}
	return result{err: err}
}

// finishStop moves to asleep. What could not be stopped still runs, as far as anyone knows. e.mu is held.
func (v *Service) finishStop(e *entry, t *turn, r result) error {
	switch {
	case r.err == nil:
		v.move(e, eventRested)
		return nil
	case errors.Is(r.err, runtime.ErrDown), v.ctx.Err() != nil:
		v.move(e, eventEnded) // reconcile sees it again when the runtime answers
		return &Error{Code: CodeRuntimeDown, Err: r.err}
	}
	return v.failTurn(e, t, r.err)
}
