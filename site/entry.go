package site

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"petitpont/runtime"
)

// entry is one site in memory: its row and what only this process knows of it.
type entry struct {
	id       ID // these four never change
	owner    string
	name     string
	password Secret // of its database; kept out of the row, so that no list and no log carries it

	sessions atomic.Int32 // open file sessions

	limiting sync.Mutex // held while an admin changes its limits; taken before the others

	saving sync.Mutex // held over a write of the row, so that the store sees the newest last

	mu       sync.Mutex // guards all below
	site     Site
	addr     netip.AddrPort // valid while Awake
	since    time.Time      // ends from before this belong to an earlier start; zero until it was seen up
	used     time.Time      // when its idle time began, with its monotonic part (RULE MONO)
	inUse    int            // requests and sessions under way
	waiters  int            // requests waiting for a turn
	idle     *time.Timer    // nil unless armed
	told     terms          // what the driver was last told; zero when this process has not told it
	waits    bool           // it runs with settings that were changed since, as last seen
	holding  *holding       // limits that are to be held next; nil when none wait
	pinned   string         // version of the template it is on, as last seen; "" when not seen yet
	demand   demand
	turn     *turn // nil while nothing is done to it
	moves    int   // grows with each change of State
	dirty    bool  // the store does not have the newest row
	justMade bool  // its first start belongs to its creation: people watch both as one
	progress Progress
	crash    crashes
	tries    holdOff
	revoked  chan struct{} // closed when its sessions must end; then replaced
}

func newEntry(s Site) *entry {
	e := &entry{id: s.ID, owner: s.Owner, name: s.Name, password: s.Password, revoked: make(chan struct{})}
	s.Password = ""
	e.site = s
	return e
}

// next is what to do with the site. Limits wait for everything else. e.mu is held.
func (e *entry) next() action {
	act := next(e.site, e.demand)
	if act == actNothing && e.holding != nil && !e.site.MadeAt.IsZero() {
		return actLimit
	}
	return act
}

// busy tells whether something is being done to the site that people notice. e.mu is held.
func (e *entry) busy() bool { return e.turn != nil && e.turn.act != actLimit }

// remembered is a site as an earlier process left it. Where it listened is not known, so what ran is asleep until the
// driver shows it running; to start it meanwhile is a no-op that tells the address.
func remembered(s Site) *entry {
	to, ran := step(s.State, eventEnded)
	if ran {
		s.State = to
	}
	e := newEntry(s)
	e.dirty = ran
	return e
}

// turn is one action under way. Everybody who waits for the site waits on the same turn.
type turn struct {
	act      action
	from     State
	began    time.Time
	cancel   context.CancelFunc
	holding  *holding        // actLimit only
	canceled bool            // by us, because something else was asked
	exit     *runtime.Exit   // it ended while it was being started
	done     chan struct{}   // closed in the end
	err      error           // valid then
	ctx      context.Context // the work is its own: no caller ends it
}

func (e *entry) snapshot() Site {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.site
}

// move is the one place that changes State. e.mu is held. An event that cannot happen is a bug, told in the log.
func (v *Service) move(e *entry, what event) bool {
	to, ok := step(e.site.State, what)
	if !ok {
		v.cfg.Log.Error("impossible event", "site", e.id, "state", e.site.State, "event", what)
		return false
	}
	v.cfg.Log.Info("site moved", "site", e.id, "from", e.site.State, "to", to, "event", what)
	e.site.State, e.site.ChangedAt = to, v.cfg.Now()
	if to != Failed {
		e.site.Fault = nil
	}
	if to != Awake {
		e.disarmLocked()
		if rested := v.rested.Load(); rested != nil && e.addr.IsValid() {
			(*rested)(e.id)
		}
		e.addr = netip.AddrPort{}
	}
	e.moves++
	e.dirty = true
	return true
}

// fail moves to Failed with its reason. e.mu is held.
func (v *Service) fail(e *entry, f *Fault, err error) {
	if v.move(e, eventFail) {
		e.site.Fault, e.demand = f, demand{}
		v.cfg.Log.Error("site failed", "site", e.id, "code", f.Code, "ref", f.Ref, "err", err)
	}
}

// flush writes the row if the store does not have the newest. No caller's end breaks that off.
func (v *Service) flush(e *entry) {
	e.saving.Lock()
	defer e.saving.Unlock()
	e.mu.Lock()
	s, dirty := e.site, e.dirty
	e.dirty = false
	e.mu.Unlock()
	if !dirty {
		return
	}
	if err := v.update(v.ctx, s); err != nil {
		v.cfg.Log.Error("store site", "site", e.id, "err", err)
		e.mu.Lock()
		e.dirty = true // the next reconciliation tries again
		e.mu.Unlock()
	}
}

// promise changes the row and stores it before it holds: what a person was told survives a crash. change may refuse.
func (v *Service) promise(ctx context.Context, e *entry, change func(*Site) error) error {
	e.saving.Lock()
	defer e.saving.Unlock()
	s := e.snapshot()
	if err := change(&s); err != nil {
		return err
	}
	if err := v.update(ctx, s); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.site.Want, e.site.Epoch, e.site.Own = s.Want, s.Epoch, s.Own
	return nil
}

// update writes a row to its end even when ctx ends: a write broken off would leave open what is stored.
func (v *Service) update(ctx context.Context, s Site) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return v.cfg.Store.Update(ctx, s)
}

// quiet waits until nothing is being done.
func (e *entry) quiet() {
	for {
		e.mu.Lock()
		t := e.turn
		e.mu.Unlock()
		if t == nil {
			return
		}
		<-t.done
	}
}
