package site

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"petitpont/runtime"
)

// Check is a part of petitpont that can be asked whether it works.
type Check struct {
	Name string // key of its words: health.<name>
	Look func(context.Context) error
}

// Health is how petitpont itself does.
type Health struct {
	Parts     []Part
	Storage   Storage
	Lost      Lost
	Stale     []string   // names of the sites that run with settings that were changed since they started
	Selfcheck *Selfcheck // the last one; nil when none was run
	Unread    error      // why the last one could not be read; nil usually
}

// Part is one part of it.
type Part struct {
	Name string
	Took time.Duration
	Err  error // nil: it works
}

// Storage is the runtime's ledger of the sites' disks.
type Storage struct {
	runtime.Ledger
	Short bool // no site of any plan could be made
}

// Lost is what belongs to no site: containers the register does not know, stopped and kept, and what is left of those
// that the runtime does not know either.
type Lost struct {
	Containers []runtime.Info
	Leftovers  []runtime.Stray
	Err        error // why the leftovers could not be listed
}

// pinger is a Directory that can be asked without anybody's password.
type pinger interface{ Ping(context.Context) error }

// checkTimeout is how long one part may take to say that it works.
const checkTimeout = 4 * time.Second

// Health asks every part at the same time. For admins.
func (v *Service) Health(ctx context.Context, who Identity) (Health, error) {
	if !who.Admin {
		return Health{}, &Error{Code: CodeForbidden}
	}
	h := Health{Parts: v.askAll(ctx)}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var err error
	h.Storage, err = v.storage(ctx)
	h.Parts = append(h.Parts, Part{Name: "storage", Err: err})
	h.Lost, h.Stale = v.lost(ctx), v.stale()
	h.Selfcheck, h.Unread = readSelfcheck(v.cfg.Report)
	return h, nil
}

func (v *Service) checks() []Check {
	all := []Check{
		{"runtime", func(ctx context.Context) error { _, err := v.cfg.Driver.Templates(ctx); return err }},
		{"register", func(ctx context.Context) error { _, err := v.cfg.Store.Waves(ctx); return err }},
	}
	if d, ok := v.cfg.Directory.(pinger); ok {
		all = append([]Check{{"directory", d.Ping}}, all...)
	}
	return append(all, v.cfg.Checks...)
}

func (v *Service) askAll(ctx context.Context) []Part {
	checks := v.checks()
	parts := make([]Part, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { parts[i] = ask(ctx, c) })
	}
	all.Wait()
	return parts
}

func ask(ctx context.Context, c Check) Part {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	began := time.Now()
	err := c.Look(ctx)
	return Part{Name: c.Name, Took: time.Since(began), Err: err}
}

var errShort = errors.New("no more disk can be promised to sites")

// storage asks for the ledger; it is short when it has no room for the smallest disk of the plans.
func (v *Service) storage(ctx context.Context) (Storage, error) {
	l, err := v.cfg.Driver.Ledger(ctx)
	s := Storage{Ledger: l}
	if err != nil {
		return s, err
	}
	least := int64(math.MaxInt64)
	for _, p := range v.cfg.Plans {
		if p.Sites > 0 {
			least = min(least, p.Limits.Disk)
		}
	}
	if s.Short = l.Free < least; s.Short {
		err = errShort
	}
	return s, err
}

// lost lists what belongs to no site.
func (v *Service) lost(ctx context.Context) Lost {
	var l Lost
	v.mu.RLock()
	l.Containers = slices.Clone(v.strays)
	v.mu.RUnlock()
	l.Leftovers, l.Err = v.cfg.Driver.Strays(ctx)
	return l
}

// stale are the names of the sites that run with settings that were changed since they started.
func (v *Service) stale() []string {
	var names []string
	for _, e := range v.entries() {
		e.mu.Lock()
		if e.stale() {
			names = append(names, e.name)
		}
		e.mu.Unlock()
	}
	slices.Sort(names)
	return names
}
