package site

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"petitpont/runtime"
)

// Enter answers where the site's web server listens, and counts the caller as a user until leave is called. An awake
// site costs one mutex. One at rest is woken: the first caller begins the start, all wait for the same one, and a
// caller who leaves does not stop it. A site put down by its owner stays down: CodeStopped.
func (v *Service) Enter(ctx context.Context, id ID) (netip.AddrPort, func(), error) {
	e := v.entry(id)
	if e == nil {
		return netip.AddrPort{}, nil, notFound()
	}
	for {
		addr, t, err := v.approach(e)
		if err != nil {
			return netip.AddrPort{}, nil, err
		}
		if t == nil {
			return addr, sync.OnceFunc(func() { v.leave(e) }), nil
		}
		if err := v.wait(ctx, e, t); err != nil {
			return netip.AddrPort{}, nil, err
		}
		if err := t.verdict(); err != nil {
			return netip.AddrPort{}, nil, err
		}
	}
}

// approach goes in, or says which turn to wait for.
func (v *Service) approach(e *entry) (netip.AddrPort, *turn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.site.State == Awake && e.site.Want == Up {
		v.use(e)
		return e.addr, nil, nil
	}
	switch {
	case e.site.Want == Gone:
		return netip.AddrPort{}, nil, notFound()
	case e.site.Want == Down:
		return netip.AddrPort{}, nil, &Error{Code: CodeStopped, Args: Args{"s": e.site.Name}}
	case e.turn == nil:
		if err := e.held(v.cfg.Now()); err != nil {
			return netip.AddrPort{}, nil, err
		}
		e.demand.wake = true
		v.kick(e)
	}
	if e.turn == nil { // the service closes
		return netip.AddrPort{}, nil, &Error{Code: CodeRuntimeDown}
	}
	return netip.AddrPort{}, e.turn, nil
}

// verdict is what a finished turn means for those who wanted in: a stop means try again, a failed start is an answer.
func (t *turn) verdict() error {
	starts := t.act == actCreate || t.act == actWake
	if !starts || errors.Is(t.err, errOvertaken) {
		return nil
	}
	return t.err
}

// use counts one more; e.mu is held.
func (v *Service) use(e *entry) {
	e.inUse++
	v.touch(e)
}

// touch notes a use. The store learns of it to the minute.
func (v *Service) touch(e *entry) {
	now := v.cfg.Now()
	if now.Sub(e.site.UsedAt) >= time.Minute {
		e.dirty = true
	}
	e.used, e.site.UsedAt = now, now
}

// leave counts one less.
func (v *Service) leave(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inUse--
	v.touch(e)
	if e.inUse == 0 && e.idle == nil && e.site.State == Awake {
		v.arm(e, v.plan(e.site.Role).Idle)
	}
}

// runWake starts the container; at most Config.Wakes at a time.
func (v *Service) runWake(ctx context.Context, e *entry, from State) result {
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return result{err: ctx.Err()}
	}
	id := string(e.id)
	if from == Dozing {
		if err := v.cfg.Driver.Thaw(ctx, id); err != nil && !errors.Is(err, runtime.ErrNotRunning) {
			return result{err: err}
		}
	}
	if from != Dozing {
		v.followWave(ctx, e)
	}
	if err := v.admit(ctx, e); err != nil {
		return result{err: err}
	}
	v.keepUp(ctx, e)
	addr, err := v.startMoved(ctx, e)
	return result{addr: addr, err: err}
}

// finishWake moves to awake, or says why not. e.mu is held.
func (v *Service) finishWake(e *entry, t *turn, r result) error {
	switch {
	case r.err == nil:
		v.awake(e, eventWoke, r.addr, t.began)
		e.tries, e.waits = holdOff{}, false
		if t.exit != nil { // it ended between its first answer and now
			v.ended(e, *t.exit)
		}
		return nil
	case t.canceled || v.ctx.Err() != nil:
		v.move(e, eventEnded)
		return errOvertaken
	case errors.Is(r.err, runtime.ErrDown): // no fault of the site's
		v.move(e, eventEnded)
		e.progress.Fault = &Fault{Code: CodeRuntimeDown}
		return &Error{Code: CodeRuntimeDown, Err: r.err}
	}
	if !isCode(r.err, CodeHostMemory) { // that is over as soon as there is room, and cheap to find out
		e.tries.failed(v.cfg.Now())
	}
	return v.failTurn(e, t, r.err)
}

// awake lets visitors in at addr, where it has stood since. e.mu is held.
func (v *Service) awake(e *entry, why event, addr netip.AddrPort, since time.Time) {
	if !v.move(e, why) {
		return
	}
	e.addr, e.since, e.used = addr, since, v.cfg.Now()
	v.arm(e, v.plan(e.site.Role).Idle)
	v.renew(e)
}

// The pause before a failed site is tried again by a visit.
const (
	holdFirst = 5 * time.Second
	holdMost  = 5 * time.Minute
)

// holdOff keeps visits from starting a site that has just failed to, for longer each time.
type holdOff struct {
	failures int
	until    time.Time
}

func (h *holdOff) failed(now time.Time) {
	pause := holdMost
	if h.failures < 6 {
		pause = min(holdFirst<<h.failures, holdMost)
	}
	h.failures++
	h.until = now.Add(pause)
}

// held is the answer to a visit while the site is not to be tried again: its Fault. e.mu is held.
func (e *entry) held(now time.Time) error {
	if e.site.State != Failed || e.site.Fault == nil {
		return nil
	}
	waitsForPerson := e.site.MadeAt.IsZero() || e.site.Fault.Code == CodeLooping || e.site.Fault.Code == CodeDiskMissing
	if waitsForPerson || now.Before(e.tries.until) {
		return e.site.Fault.asError(nil)
	}
	return nil
}
