package site

import (
	"context"
	"errors"
	"fmt"
	"time"

	"petitpont/runtime"
)

// sight is a site as it was before the driver was asked: a repair only holds while nothing has moved since.
type sight struct {
	site  Site
	moves int
	busy  bool
}

// Reconcile compares the register with what runs and repairs the difference. It runs at start, every minute and on
// demand; one at a time. A site with a turn under way is left to it.
func (v *Service) Reconcile(ctx context.Context) error {
	v.rounds.Lock()
	defer v.rounds.Unlock()
	before, wanted := v.look()
	seen, err := v.cfg.Driver.List(ctx)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	v.note(seen)
	var strays []runtime.Info
	for _, r := range repairs(wanted, seen) {
		if r.Kind == Quarantine {
			strays = append(strays, r.Seen)
			v.quarantine(ctx, r.Seen)
			continue
		}
		v.repair(r, before[r.ID])
	}
	v.mu.Lock()
	v.strays = strays
	v.mu.Unlock()
	for _, e := range v.entries() {
		v.remind(e)
		v.flush(e)
	}
	return nil
}

func (v *Service) look() (map[ID]sight, []Site) {
	before, wanted := map[ID]sight{}, []Site{}
	for _, e := range v.entries() {
		e.mu.Lock()
		before[e.id] = sight{e.site, e.moves, e.turn != nil}
		e.mu.Unlock()
		wanted = append(wanted, before[e.id].site)
	}
	return before, wanted
}

// repair does one repair, unless the site has moved meanwhile.
func (v *Service) repair(r Repair, before sight) {
	e := v.entry(r.ID)
	if e == nil || before.busy {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.turn != nil || e.moves != before.moves || e.site.Want != before.site.Want {
		return
	}
	v.cfg.Log.Info("repair", "site", e.id, "kind", r.Kind, "state", e.site.State, "seen", r.Seen.Status)
	v.apply(e, r)
	v.kick(e)
}

// apply changes what the site is taken for; kick then begins the work that follows from it. e.mu is held.
func (v *Service) apply(e *entry, r Repair) {
	switch r.Kind {
	case Adopt:
		v.awake(e, eventAdopt, r.Seen.Addr, r.Seen.StartedAt)
	case Doze:
		v.move(e, eventDoze)
	case Halt:
		v.applyHalt(e, r.Seen)
	case Rest:
		v.applyRest(e)
	case Finish, Make:
		v.applyUnmade(e, r.Kind)
	case Missing:
		err := errors.New("no container of this ID")
		v.fail(e, faultOf(e.site, 0, fmt.Errorf("%w: %w", runtime.ErrNotExist, err), 0), err)
	case Erase: // kick sees Want
	}
}

// applyHalt takes it for what it is; its Want then stops it.
func (v *Service) applyHalt(e *entry, seen runtime.Info) {
	switch {
	case seen.Status == runtime.Frozen && e.site.State != Dozing:
		v.move(e, eventDoze)
	case seen.Status == runtime.Running && e.site.State != Awake:
		v.awake(e, eventAdopt, seen.Addr, seen.StartedAt)
	}
}

// applyRest is a site that no longer runs, though nobody told of its end. e.mu is held.
func (v *Service) applyRest(e *entry) {
	if e.site.State == Awake || e.site.State == Dozing {
		v.ended(e, runtime.Exit{ID: string(e.id), At: v.cfg.Now()})
		return
	}
	v.move(e, eventEnded)
}

func (v *Service) applyUnmade(e *entry, kind RepairKind) {
	if e.site.State == Failed {
		v.move(e, eventRemake)
	}
	if kind == Finish && e.site.State == Creating {
		e.site.MadeAt = v.cfg.Now()
		v.move(e, eventMade)
	}
}

// quarantine stops a container no site owns. It stays on disk, for the admin to look at.
func (v *Service) quarantine(ctx context.Context, i runtime.Info) {
	if v.entry(ID(i.ID)) != nil || i.Status == runtime.Stopped {
		return
	}
	v.cfg.Log.Warn("container without a site is stopped", "id", i.ID, "slot", i.Slot)
	if err := v.cfg.Driver.Stop(ctx, i.ID, v.cfg.Grace); err != nil && !errors.Is(err, runtime.ErrNotExist) {
		v.cfg.Log.Error("stop a container without a site", "id", i.ID, "err", err)
	}
}

// wakeAlwaysOn starts the sites whose plan never sleeps, as after a reboot; Config.Wakes bounds how many at a time.
func (v *Service) wakeAlwaysOn() {
	for _, e := range v.entries() {
		e.mu.Lock()
		if e.site.State == Asleep && v.plan(e.site.Role).Idle == 0 {
			e.demand.wake = true
			v.kick(e)
		}
		e.mu.Unlock()
	}
}

func (v *Service) reconcileEvery() {
	tick := time.NewTicker(v.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-v.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(v.ctx, v.cfg.Every)
		if err := v.Reconcile(ctx); err != nil && v.ctx.Err() == nil {
			v.cfg.Log.Warn("reconcile", "err", err)
		}
		cancel()
	}
}
