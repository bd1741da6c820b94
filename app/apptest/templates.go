package apptest

import (
	"context"

	"petitpont/runtime"
	"petitpont/site"
)

// SetTemplates changes what Templates says.
func (s *Sites) SetTemplates(change func(*site.Templates)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.shelf)
}

// bench notes a call on a version, and refuses who is no admin.
func (s *Sites) bench(who site.Identity, method, on string) error {
	err := s.enter(method, on)
	if err == nil && !who.Admin {
		err = &site.Error{Code: site.CodeForbidden}
	}
	return err
}

// Templates are what SetTemplates made them.
func (s *Sites) Templates(_ context.Context, who site.Identity) (site.Templates, error) {
	err := s.bench(who, "Templates", "")
	defer s.mu.Unlock()
	return s.shelf, err
}

// BuildTemplate begins a work that never ends by itself.
func (s *Sites) BuildTemplate(_ context.Context, who site.Identity, name string) error {
	err := s.bench(who, "BuildTemplate", name)
	defer s.mu.Unlock()
	if err == nil {
		s.shelf.Work = &site.Work{Template: name, Began: s.Now(), Build: runtime.Build{Step: runtime.BuildDownload}}
	}
	return err
}

// TestTemplate notes that it was called.
func (s *Sites) TestTemplate(_ context.Context, who site.Identity, name, version string) error {
	err := s.bench(who, "TestTemplate", name+"@"+version)
	defer s.mu.Unlock()
	return err
}

// PublishTemplate notes that it was called.
func (s *Sites) PublishTemplate(_ context.Context, who site.Identity, name, version string) error {
	err := s.bench(who, "PublishTemplate", name+"@"+version)
	defer s.mu.Unlock()
	return err
}

// RetireTemplate notes that it was called.
func (s *Sites) RetireTemplate(_ context.Context, who site.Identity, name, version string) error {
	err := s.bench(who, "RetireTemplate", name+"@"+version)
	defer s.mu.Unlock()
	return err
}

// MoveSites notes that it was called, for two sites.
func (s *Sites) MoveSites(_ context.Context, who site.Identity, name, version string) (int, error) {
	err := s.bench(who, "MoveSites", name+"@"+version)
	defer s.mu.Unlock()
	return 2, err
}
