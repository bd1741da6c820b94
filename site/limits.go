package site

import (
	"context"
	"errors"
	"strconv"

	"petitpont/runtime"
)

// Limits are what one site is held to, and why.
type Limits struct {
	Held runtime.Limits // what holds: the plan's, with the site's own over it
	Plan runtime.Limits
	Own  runtime.Limits // set for this site by an admin; zero where the plan's holds
	// Waits tells that the site runs with settings that were changed since, of these or of the configuration, and that
	// hold at its next start only.
	Waits bool
}

// Special tells whether an admin gave the site limits of its own.
func (l Limits) Special() bool { return l.Own != runtime.Limits{} }

// limitRule says of one kind of limit what a site can be given. Two callers read a limit through it: get and set name
// the field.
type limitRule struct {
	name        string
	size        bool // bytes
	least, most int64
	get         func(runtime.Limits) int64
	set         func(*runtime.Limits, int64)
}

// limitRules are the limits an admin may change for one site. least is what a site can live with; most catches a slip of
// the finger before the kernel or the host's disk does.
var limitRules = []limitRule{
	{"memory", true, 64 << 20, 1 << 40, func(l runtime.Limits) int64 { return l.Memory }, func(l *runtime.Limits, n int64) { l.Memory = n }},
	{"cpu", false, 50, 1_000_000, func(l runtime.Limits) int64 { return int64(l.CPU) }, func(l *runtime.Limits, n int64) { l.CPU = int(n) }},
	{"procs", false, 16, 1 << 20, func(l runtime.Limits) int64 { return int64(l.Procs) }, func(l *runtime.Limits, n int64) { l.Procs = int(n) }},
	{"disk", true, 64 << 20, 16 << 40, func(l runtime.Limits) int64 { return l.Disk }, func(l *runtime.Limits, n int64) { l.Disk = n }},
	{"inodes", false, 1024, 1 << 31, func(l runtime.Limits) int64 { return l.Inodes }, func(l *runtime.Limits, n int64) { l.Inodes = n }},
	{"io", true, 1 << 20, 64 << 30, func(l runtime.Limits) int64 { return l.IO }, func(l *runtime.Limits, n int64) { l.IO = n }},
	{"tmp", true, 1 << 20, 1 << 40, func(l runtime.Limits) int64 { return l.Tmp }, func(l *runtime.Limits, n int64) { l.Tmp = n }},
	{"files", false, 256, 1 << 20, func(l runtime.Limits) int64 { return int64(l.Files) }, func(l *runtime.Limits, n int64) { l.Files = int(n) }},
	{"watches", false, 128, 1 << 24, func(l runtime.Limits) int64 { return int64(l.Watches) }, func(l *runtime.Limits, n int64) { l.Watches = int(n) }},
	{"terminals", false, 4, 4096, func(l runtime.Limits) int64 { return int64(l.Terminals) }, func(l *runtime.Limits, n int64) { l.Terminals = int(n) }},
	{"connections", false, 8, 1_000_000, func(l runtime.Limits) int64 { return int64(l.Connections) }, func(l *runtime.Limits, n int64) { l.Connections = int(n) }},
	{"rate", false, 1, 100_000, func(l runtime.Limits) int64 { return int64(l.Rate) }, func(l *runtime.Limits, n int64) { l.Rate = int(n) }},
}

// overlay are the limits of base, but for what own says otherwise.
func overlay(base, own runtime.Limits) runtime.Limits {
	for _, r := range limitRules {
		if n := r.get(own); n != 0 {
			r.set(&base, n)
		}
	}
	return base
}

// limits are what holds for a site.
func (v *Service) limits(s Site) runtime.Limits { return overlay(v.plan(s.Role).Limits, s.Own) }

// Limits tells what a site of the person is held to.
func (v *Service) Limits(_ context.Context, who Identity, name string) (Limits, error) {
	e, err := v.find(who, name)
	if err != nil {
		return Limits{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.site
	return Limits{Held: v.limits(s), Plan: v.plan(s.Role).Limits.Filled(), Own: s.Own, Waits: e.stale()}, nil
}

// SetLimits gives a site limits of its own, at once and also while it runs; zero fields follow the plan. Only for
// admins: CodeForbidden otherwise. CodeLimitSize and CodeLimitCount refuse what no site can live with, CodeDiskShrinks a
// smaller disk than it has, CodeDiskGrow one that the host has no room for. After an error all is as it was.
func (v *Service) SetLimits(ctx context.Context, who Identity, name string, own runtime.Limits) error {
	if !who.Admin {
		return &Error{Code: CodeForbidden}
	}
	e, err := v.find(who, name)
	if err != nil {
		return err
	}
	e.limiting.Lock() // one after the other: what is stored in the end is what holds
	defer e.limiting.Unlock()
	s := e.snapshot()
	if err := v.mayLimit(ctx, s, own); err != nil {
		return err
	}
	if err := v.hold(ctx, e, overlay(v.plan(s.Role).Limits, own)); err != nil {
		return v.limitError(s, err)
	}
	v.cfg.Log.Info("limits changed", "site", e.id, "by", who.Login, "limits", own)
	return v.promise(ctx, e, func(s *Site) error { s.Own = own; return nil })
}

func (v *Service) mayLimit(ctx context.Context, s Site, own runtime.Limits) error {
	for _, r := range limitRules {
		if n := r.get(own); n != 0 && (n < r.least || n > r.most) {
			return badLimit(r.name, r.size, r.least, r.most)
		}
	}
	return v.mayShrink(ctx, s, own.Disk)
}

func badLimit(what string, size bool, least, most int64) *Error {
	code := CodeLimitCount
	if size {
		code = CodeLimitSize
	}
	return &Error{Code: code, Args: Args{"limit": what, "least": strconv.FormatInt(least, 10), "most": strconv.FormatInt(most, 10)}}
}

// mayShrink refuses a smaller disk than the site has: the file system on it would be cut off. Saying nothing of the disk
// is always allowed, and keeps what it has.
func (v *Service) mayShrink(ctx context.Context, s Site, disk int64) error {
	if disk == 0 {
		return nil
	}
	u, err := v.cfg.Driver.Usage(ctx, string(s.ID))
	if err != nil && !errors.Is(err, runtime.ErrNotExist) {
		return v.runtimeError(s, err)
	}
	const grain = 4 << 20 // a file system is a little smaller than the disk it is on
	has := max(v.limits(s).Disk, u.DiskMax)
	if disk < has-grain {
		return &Error{Code: CodeDiskShrinks, Args: Args{"s": s.Name, "size": strconv.FormatInt(has, 10)}}
	}
	return nil
}

func (v *Service) limitError(s Site, err error) error {
	if errors.Is(err, runtime.ErrNoSpace) {
		return &Error{Code: CodeDiskGrow, Args: Args{"s": s.Name}, Err: err}
	}
	if errors.Is(err, errOvertaken) { // by its deletion
		return busy(Site{Name: s.Name, State: Deleting})
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return v.runtimeError(s, err)
}

// hold has the driver hold a site to l, in a turn of its own: calls about one site never overlap. A site that has no
// disk yet is made with them.
func (v *Service) hold(ctx context.Context, e *entry, l runtime.Limits) error {
	e.mu.Lock()
	want := v.terms(e)
	want.limits = l
	h := newHolding(want)
	switch unmade := e.site.MadeAt.IsZero(); {
	case e.site.Want == Gone, unmade && e.turn != nil:
		defer e.mu.Unlock()
		return busy(e.site)
	case unmade: // what making it left is taken back: it is tried again with the limits of then
		e.mu.Unlock()
		return nil
	}
	e.supersede(h)
	v.kick(e)
	e.mu.Unlock()
	select {
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return ctx.Err()
	case <-v.ctx.Done():
		return &Error{Code: CodeRuntimeDown}
	}
}
