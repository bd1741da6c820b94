package site

import (
	"context"
	"time"

	"petitpont/runtime"
)

// Progress is how far a creation or a start has come. After a restart of petitpont only its end is known.
type Progress struct {
	Steps []StepTime
	Done  bool // nothing goes on any more: it is online, at rest, or failed
	Fault *Fault
}

// StepTime is one step with its times; Ended is zero while it goes on.
type StepTime struct {
	Step         runtime.Step
	Began, Ended time.Time
}

// begin notes that a step begins, which ends the one before.
func (p *Progress) begin(s runtime.Step, now time.Time) {
	p.end(now)
	p.Steps = append(p.Steps, StepTime{Step: s, Began: now})
}

func (p *Progress) end(now time.Time) {
	if n := len(p.Steps); n > 0 && p.Steps[n-1].Ended.IsZero() {
		p.Steps[n-1].Ended = now
	}
}

// Progress tells how the latest creation or start of a site goes.
func (v *Service) Progress(_ context.Context, who Identity, name string) (Progress, error) {
	e, err := v.find(who, name)
	if err != nil {
		return Progress{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.progress
	p.Steps = append([]StepTime(nil), p.Steps...)
	p.Done = !e.busy() && e.site.State != Creating
	if e.site.Fault != nil {
		p.Fault = e.site.Fault
	}
	return p, nil
}

// watch lets the steps of one turn be seen.
func (v *Service) watch(ctx context.Context, e *entry) context.Context {
	return runtime.WithSteps(ctx, func(s runtime.Step) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.progress.begin(s, v.cfg.Now())
	})
}
