package apptest

import (
	"context"
	"time"

	"petitpont/runtime"
	"petitpont/site"
)

// Create stores a site that is being created.
func (s *Sites) Create(_ context.Context, who site.Identity, n site.New) (site.Site, error) {
	err := s.enter("Create", n.Name)
	defer s.mu.Unlock()
	if err != nil {
		return site.Site{}, err
	}
	name, err := s.checkName(n.Name)
	if err == nil {
		err = s.allow(n.Stack)
	}
	if err != nil {
		return site.Site{}, err
	}
	now := s.Now()
	e := &entry{Site: site.Site{
		ID: "abcdefghij", Name: name, Owner: who.Key, OwnerLogin: who.Login, Role: who.Role, Stack: n.Stack,
		Want: site.Up, State: site.Creating, CreatedAt: now, ChangedAt: now,
	}, usage: runtime.Usage{Disk: 12 << 20, DiskMax: 1 << 30, MemoryMax: 256 << 20, Inodes: 30, InodesMax: 100000}}
	s.sites[name] = e
	return e.Site, nil
}

// Step lets a creation reach a step at a moment; a zero step ends the last one.
func (s *Sites) Step(name string, step runtime.Step, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sites[name].step(step, at)
}

func (e *entry) step(step runtime.Step, at time.Time) {
	if n := len(e.steps); n > 0 && e.steps[n-1].Ended.IsZero() {
		e.steps[n-1].Ended = at
	}
	if step != "" {
		e.steps = append(e.steps, site.StepTime{Step: step, Began: at})
	}
}

// Set changes a site.
func (s *Sites) Set(name string, change func(*site.Site)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.sites[name].Site)
}

// Wait lets a site run with settings that were changed since it started.
func (s *Sites) Wait(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sites[name].waits = true
}

// Progress is what Step has made of it.
func (s *Sites) Progress(_ context.Context, who site.Identity, name string) (site.Progress, error) {
	err := s.enter("Progress", name)
	defer s.mu.Unlock()
	if err != nil {
		return site.Progress{}, err
	}
	e, err := s.find(who, name)
	if err != nil {
		return site.Progress{}, err
	}
	done := e.State != site.Creating && e.State != site.Waking
	return site.Progress{Steps: append([]site.StepTime(nil), e.steps...), Done: done, Fault: e.Fault}, nil
}

// Start moves to waking.
func (s *Sites) Start(_ context.Context, who site.Identity, name string) error {
	return s.ask("Start", who, name, site.Up, site.Waking)
}

// Stop moves to stopping.
func (s *Sites) Stop(_ context.Context, who site.Identity, name string) error {
	return s.ask("Stop", who, name, site.Down, site.Stopping)
}

// Restart moves to waking.
func (s *Sites) Restart(_ context.Context, who site.Identity, name string) error {
	return s.ask("Restart", who, name, site.Up, site.Waking)
}

// Delete moves to deleting when the name was typed.
func (s *Sites) Delete(_ context.Context, who site.Identity, name, typed string) error {
	if typed != name {
		return &site.Error{Code: site.CodeTyped, Args: site.Args{"x": typed, "s": name}}
	}
	return s.ask("Delete", who, name, site.Gone, site.Deleting)
}

func (s *Sites) ask(method string, who site.Identity, name string, want site.Want, state site.State) error {
	err := s.enter(method, name)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	e, err := s.find(who, name)
	if err != nil {
		return err
	}
	e.Want, e.State, e.Fault, e.ChangedAt, e.steps = want, state, nil, s.Now(), nil
	return nil
}

// advance lets a moving site arrive once it has moved for Pace. s.mu is held.
func (s *Sites) advance(e *entry) {
	now := s.Now()
	part := s.Pace / time.Duration(len(path))
	for i, step := range path {
		begins := e.ChangedAt.Add(part * time.Duration(i))
		if (e.State == site.Creating || e.State == site.Waking) && len(e.steps) == i && !now.Before(begins) {
			e.step(step, begins)
		}
	}
	if now.Before(e.ChangedAt.Add(s.Pace)) {
		return
	}
	switch e.State {
	case site.Creating, site.Waking:
		e.step("", e.ChangedAt.Add(s.Pace))
		e.State, e.usage.Memory = site.Awake, 48<<20
	case site.Stopping:
		e.State, e.usage.Memory = site.Asleep, 0
	case site.Deleting:
		delete(s.sites, e.Name)
		return
	default:
		return
	}
	e.ChangedAt = now
}

var path = []runtime.Step{runtime.StepDisk, runtime.StepNetwork, runtime.StepStart, runtime.StepAnswer}
