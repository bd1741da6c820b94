package site

import (
	"context"
	"errors"
	"sync"
	"time"
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
	Selfcheck *Selfcheck // the last one; nil when none was run
	Unread    error      // why the last one could not be read; nil usually
}

// Part is one part of it.
type Part struct {
	Name string
	Took time.Duration
	Err  error // nil: it works
}

// Storage is what was promised to sites against what there is, in bytes.
type Storage struct {
	Promised      int64 // disks of all sites, as if they were full
	Used, Volume  int64
	Overcommitted bool // more is promised than there is room for
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
	storage, err := v.storage()
	h.Storage = storage
	h.Parts = append(h.Parts, Part{Name: "storage", Err: err})
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

var errOvercommitted = errors.New("more disk is promised to sites than the volume has")

func (v *Service) storage() (Storage, error) {
	r, err := v.cfg.ReadHost()
	s := Storage{Used: r.Disk, Volume: r.DiskMax}
	if err != nil {
		return s, err
	}
	for _, e := range v.entries() {
		s.Promised += v.limits(e.snapshot()).Disk
	}
	if s.Overcommitted = s.Promised > s.Volume; s.Overcommitted {
		err = errOvercommitted
	}
	return s, err
}
