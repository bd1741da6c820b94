package site

import "context"

// Start brings a site up and keeps it available; it also ends a pause after crashes. It returns once that is accepted.
func (v *Service) Start(ctx context.Context, who Identity, name string) error {
	return v.ask(ctx, who, name, Up, anytime, func(e *entry) {
		e.forgive()
		e.demand.wake = e.site.State != Awake && (e.turn == nil || e.turn.act != actWake)
	})
}

// Stop takes a site down until somebody starts it again: visits do not wake it. A start under way is broken off.
func (v *Service) Stop(ctx context.Context, who Identity, name string) error {
	return v.ask(ctx, who, name, Down, anytime, func(e *entry) {
		e.demand.wake = false
		e.demand.rest = e.site.State == Failed
		e.overtake(actWake)
	})
}

// Restart stops and starts. While something else is being done it is CodeBusy.
func (v *Service) Restart(ctx context.Context, who Identity, name string) error {
	return v.ask(ctx, who, name, Up, atRest, func(e *entry) {
		e.forgive()
		e.demand = demand{wake: true, rest: e.site.State != Asleep && !e.busy()}
	})
}

// When a request is taken. e.mu is held.
var (
	anytime = func(*entry) error { return nil }
	atRest  = func(e *entry) error {
		if e.busy() {
			return busy(e.site)
		}
		return nil
	}
)

// ask is a person's request: what they want is stored first, then the site's next turn begins.
func (v *Service) ask(ctx context.Context, who Identity, name string, want Want, may func(*entry) error, set func(*entry)) error {
	e, err := v.find(who, name)
	if err != nil {
		return err
	}
	err = v.promise(ctx, e, func(s *Site) error {
		if s.Want == Gone {
			return busy(Site{Name: s.Name, State: Deleting})
		}
		s.Want = want
		e.mu.Lock()
		defer e.mu.Unlock()
		return may(e)
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	set(e)
	v.kick(e)
	return nil
}

// forgive forgets past failures: a person wants to try again. e.mu is held.
func (e *entry) forgive() {
	e.tries, e.crash = holdOff{}, crashes{}
}
