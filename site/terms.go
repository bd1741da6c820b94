package site

import (
	"context"
	"strings"

	"petitpont/runtime"
)

// terms are what a site runs under.
type terms struct {
	limits runtime.Limits
	env    words
}

// words are an environment in one piece, so that two can be compared.
type words string

func newWords(env []string) words { return words(strings.Join(env, "\x00")) }

func (w words) list() []string {
	if w == "" {
		return nil
	}
	return strings.Split(string(w), "\x00")
}

// terms are what holds for a site: its limits, and what its programs are told by the configuration of now. e.mu is held.
func (v *Service) terms(e *entry) terms {
	return terms{v.limits(e.site), newWords(e.site.env(e.password, v.cfg.Proxy, v.cfg.Domain))}
}

// agree tells the driver what it does not know yet of the terms. A running site has its new environment at its next start.
func (v *Service) agree(ctx context.Context, e *entry, want terms) error {
	e.mu.Lock()
	told := e.told
	e.mu.Unlock()
	if told.limits != want.limits {
		if err := v.cfg.Driver.SetLimits(ctx, string(e.id), want.limits); err != nil {
			return err
		}
		told.limits = want.limits
	}
	var err error
	if told.env != want.env {
		if err = v.cfg.Driver.SetEnv(ctx, string(e.id), want.env.list()); err == nil {
			told.env = want.env
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waits = e.waits || e.told.env != "" && e.told.env != told.env
	e.told = told
	return err
}

// note remembers what a look at the runtime showed of each site: the version it is on, and whether it runs with old settings.
func (v *Service) note(seen []runtime.Info) {
	for _, i := range seen {
		if e := v.entry(ID(i.ID)); e != nil {
			_, version, _ := strings.Cut(i.Template, "@")
			e.mu.Lock()
			e.pinned, e.waits = version, i.Waits
			e.mu.Unlock()
		}
	}
}

// stale tells that the site runs with settings that were changed since it started. e.mu is held.
func (e *entry) stale() bool { return e.waits && e.site.State == Awake }

// holding is terms on their way to the driver. Whoever waits for them looks at err once done is closed.
type holding struct {
	terms terms
	done  chan struct{}
	err   error
}

func newHolding(t terms) *holding { return &holding{terms: t, done: make(chan struct{})} }

func (h *holding) end(err error) {
	h.err = err
	close(h.done)
}

// supersede makes h the limits to hold next; those that had not been begun are no longer wanted. e.mu is held.
func (e *entry) supersede(h *holding) {
	if e.holding != nil {
		e.holding.end(errOvertaken)
	}
	e.holding = h
}

// runLimit hands them to the driver.
func (v *Service) runLimit(ctx context.Context, e *entry, h *holding) result {
	return result{err: v.agree(ctx, e, h.terms)}
}

// finishLimit answers those who wait; State is as it was. e.mu is held.
func (v *Service) finishLimit(e *entry, t *turn, r result) error {
	if r.err != nil {
		v.cfg.Log.Error("limit site", "site", e.id, "err", r.err)
	}
	t.holding.end(r.err)
	return r.err
}

// renew asks for the terms to be told when they may have changed since the driver was: the configuration of an earlier
// process may have been another. e.mu is held.
func (v *Service) renew(e *entry) {
	if want := v.terms(e); e.holding == nil && e.told != want {
		e.holding = newHolding(want)
	}
}

// remind tells the driver again what it could not take of a site that runs.
func (v *Service) remind(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.site.State == Awake && e.turn == nil {
		v.renew(e)
		v.kick(e)
	}
}

// keepUp tells the driver the terms of a site that is about to start, when they may have changed. That it cannot keeps no
// site from starting: the old ones hold on.
func (v *Service) keepUp(ctx context.Context, e *entry) {
	e.mu.Lock()
	want, told := v.terms(e), e.told
	e.mu.Unlock()
	if want == told {
		return
	}
	if err := v.agree(ctx, e, want); err != nil {
		v.cfg.Log.Warn("new terms of a site before its start", "site", e.id, "err", err)
	}
}
