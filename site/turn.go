package site

import (
	"context"
	"errors"
	"time"
)

// errOvertaken ends a turn that was broken off because something else was asked of the site.
var errOvertaken = errors.New("overtaken by another request")

var timeouts = map[action]time.Duration{
	actCreate: createTimeout, actWake: wakeTimeout, actStop: stopTimeout, actDelete: deleteTimeout,
	actLimit: limitTimeout,
}

// kick begins the site's next turn unless one is under way. e.mu is held. When it returns, State already shows the turn.
//
//	request ── sets Want or demand ── kick ── next(site, demand) ── turn ─┐
//	                                            ▲                         │ run, without locks
//	                                            └──────── finish ◀────────┘
func (v *Service) kick(e *entry) {
	if e.turn != nil {
		return
	}
	act := e.next()
	if act == actNothing || !v.hire() {
		return
	}
	v.begin(e, act)
	go v.drive(e)
}

// hire takes a place in v.work, unless the service closes.
func (v *Service) hire() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.closed {
		return false
	}
	v.work.Add(1)
	return true
}

// begin opens a turn and moves the site into it. e.mu is held.
func (v *Service) begin(e *entry, act action) {
	ctx, cancel := context.WithTimeout(v.ctx, timeouts[act])
	e.turn = &turn{
		act: act, from: e.site.State, began: v.cfg.Now(),
		ctx: ctx, cancel: cancel, done: make(chan struct{}),
	}
	switch act {
	case actCreate:
		e.progress, e.demand.rest = Progress{}, false
		if e.site.State == Failed {
			v.move(e, eventRemake)
		}
	case actWake:
		if !e.justMade {
			e.progress = Progress{}
		}
		e.justMade, e.demand = false, demand{}
		v.move(e, eventWake)
	case actStop:
		e.demand.rest = false
		v.move(e, eventRest)
	case actDelete:
		e.demand = demand{}
		e.supersede(nil)
		if e.site.State != Deleting {
			v.move(e, eventDelete)
		}
	case actLimit:
		e.turn.holding, e.holding = e.holding, nil
	}
}

// drive takes turns until the site is as it should be. Only one runs for a site; it owns e.turn.
func (v *Service) drive(e *entry) {
	defer v.work.Done()
	for more := true; more; {
		e.mu.Lock()
		t := e.turn
		e.mu.Unlock()
		result := v.run(e, t)
		more = v.finish(e, t, result)
		if t.act == actDelete && t.err == nil {
			return
		}
		v.flush(e)
	}
}

// run does the work of a turn, without any lock.
func (v *Service) run(e *entry, t *turn) (r result) {
	defer t.cancel()
	switch t.act {
	case actCreate:
		return v.runCreate(t.ctx, e)
	case actWake:
		return v.runWake(t.ctx, e, t.from)
	case actStop:
		return v.runStop(t.ctx, e)
	case actLimit:
		return v.runLimit(t.ctx, e, t.holding)
	default:
		return v.runDelete(t.ctx, e)
	}
}

// finish moves the site out of the turn, opens the next one if there is more to do, and lets everybody who waited go on.
func (v *Service) finish(e *entry, t *turn, r result) (more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch t.act {
	case actCreate:
		t.err = v.finishCreate(e, t, r)
	case actWake:
		t.err = v.finishWake(e, t, r)
	case actStop:
		t.err = v.finishStop(e, t, r)
	case actDelete:
		t.err = v.finishDelete(e, r)
	case actLimit:
		t.err = v.finishLimit(e, t, r)
	}
	e.turn = nil
	e.progress.end(v.cfg.Now())
	act := e.next()
	again := t.err != nil && act == t.act && act != actLimit && !errors.Is(t.err, errOvertaken) // it just failed: not at once
	gone := t.act == actDelete && t.err == nil
	if more = act != actNothing && !again && !gone && !v.isClosed(); more {
		v.begin(e, act)
	}
	close(t.done)
	return more
}

// overtake breaks off a turn that makes or starts the site. e.mu is held.
func (e *entry) overtake(acts ...action) {
	if e.turn == nil {
		return
	}
	for _, a := range acts {
		if e.turn.act == a {
			e.turn.canceled = true
			e.turn.cancel()
		}
	}
}

// wait stands in line for a turn, within the limits on how many may.
func (v *Service) wait(ctx context.Context, e *entry, t *turn) error {
	if v.waiting.Add(1) > int64(v.cfg.Waiting.Overall) {
		v.waiting.Add(-1)
		return busy(e.snapshot())
	}
	defer v.waiting.Add(-1)
	if !e.queue(v.cfg.Waiting.PerSite) {
		return busy(e.snapshot())
	}
	defer e.unqueue()
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *entry) queue(limit int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiters >= limit {
		return false
	}
	e.waiters++
	return true
}

func (e *entry) unqueue() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiters--
}
