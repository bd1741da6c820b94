package site

import (
	"context"
	"time"
)

// A host whose memory runs out kills programs of any site, and of ours. So a site is started only while a reserve is left
// (RULE BUDGET): the idle one that was used longest ago makes room, and when there is none the start is refused. What
// starts that were let in have not taken yet comes out of the reserve; Config.Wakes bounds how many there are.

// defaultReserve is a sixteenth of the host's memory, and no more than what the host's own programs were seen to need.
func defaultReserve(memory int64) int64 { return min(memory/16, 512<<20) }

// admit makes sure that the host has its reserve of memory before e starts: CodeHostMemory when it cannot. One at a time,
// so that two starts do not each put a site to sleep for the same room; who is called off meanwhile waits no longer. A
// host that cannot be read keeps no site down.
func (v *Service) admit(ctx context.Context, e *entry) error {
	select {
	case v.admitting <- struct{}{}:
		defer func() { <-v.admitting }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for ctx.Err() == nil {
		r, err := v.cfg.ReadHost()
		if err != nil {
			v.cfg.Log.Warn("read the host's memory", "err", err)
			return nil
		}
		if r.MemoryMax-r.Memory >= orDefault(v.cfg.MemoryReserve, defaultReserve(r.MemoryMax)) {
			return nil
		}
		if !v.restOne(ctx, e) && ctx.Err() == nil {
			v.cfg.Log.Error("no memory to start a site", "site", e.id, "free", r.MemoryMax-r.Memory)
			return &Error{Code: CodeHostMemory}
		}
	}
	return ctx.Err()
}

// restOne waits for a site that is being put to sleep already, or else puts the idle one that was used longest ago to
// sleep, and waits for that; false when there is none.
func (v *Service) restOne(ctx context.Context, but *entry) bool {
	t := v.stopping()
	for t == nil {
		idle := v.idlest(but)
		if idle == nil || ctx.Err() != nil || v.isClosed() {
			return false
		}
		t = v.makeRest(idle) // nil when somebody came, or something else was asked of it: look again
	}
	select {
	case <-t.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// stopping is the stop of any site that is under way, or nil: soon there is more memory.
func (v *Service) stopping() *turn {
	for _, e := range v.entries() {
		e.mu.Lock()
		t := e.turn
		e.mu.Unlock()
		if t != nil && t.act == actStop {
			return t
		}
	}
	return nil
}

// idlest is the awake site that nobody uses and that was used longest ago. Plans that never sleep are left alone.
func (v *Service) idlest(but *entry) (idlest *entry) {
	var since time.Time
	for _, e := range v.entries() {
		if e == but {
			continue
		}
		e.mu.Lock()
		if v.mayRest(e) && (idlest == nil || e.used.Before(since)) {
			idlest, since = e, e.used
		}
		e.mu.Unlock()
	}
	return idlest
}

// mayRest tells whether a site can be put to sleep without anybody noticing more than a slower visit: those for whom it
// was just woken are on their way in. e.mu is held.
func (v *Service) mayRest(e *entry) bool {
	return e.site.State == Awake && e.site.Want == Up && e.inUse+e.waiters == 0 && e.turn == nil && v.plan(e.site.Role).Idle > 0
}

// makeRest begins the stop of an idle site, under the mutex that Enter uses; nil when it is not idle any more.
func (v *Service) makeRest(e *entry) *turn {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !v.mayRest(e) {
		return nil
	}
	v.cfg.Log.Info("site makes room in memory", "site", e.id, "used", e.site.UsedAt)
	e.demand.rest = true
	v.kick(e)
	return e.turn // nil when the service closes
}
