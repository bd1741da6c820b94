package site_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"petitpont/runtime"
	"petitpont/runtime/fake"
	"petitpont/site"
)

// spy is the fake driver with a keeper, and remembers what it was told.
type spy struct {
	*fake.Driver

	mu       sync.Mutex
	specs    map[string]runtime.Spec // by host name
	limits   map[string][]runtime.Limits
	services []string // of the template; nil leaves the fake's
	bare     bool     // no template is published
	versions []runtime.Version
	pinned   map[string]string // container to NAME@VERSION
	moves    []string
	refuse   map[string]error // answers of Move by container, and of other calls by name
	hold     chan struct{}    // BuildTemplate waits for it
}

// spied is a world on a spy with three published versions of web, on the oldest of which new sites are put.
func spied(t *testing.T, change ...func(*site.Config)) (*world, *spy) {
	s := &spy{specs: map[string]runtime.Spec{}, limits: map[string][]runtime.Limits{}, pinned: map[string]string{}, refuse: map[string]error{}}
	for _, v := range []string{"20261118-1", "20261119-1", "20261120-1"} {
		s.versions = append(s.versions, runtime.Version{Template: runtime.Template{Name: "web", Version: v}, Published: true})
	}
	w := newWorld(t, append([]func(*site.Config){func(c *site.Config) {
		s.Driver = c.Driver.(*fake.Driver)
		c.Driver = s
	}}, change...)...)
	return w, s
}

func (s *spy) Create(ctx context.Context, spec runtime.Spec) error {
	err := s.Driver.Create(ctx, spec)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.specs[spec.Hostname] = spec
	s.pinned[spec.ID] = "web@20261118-1"
	return err
}

func (s *spy) SetLimits(ctx context.Context, id string, l runtime.Limits) error {
	err := s.Driver.SetLimits(ctx, id, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.limits[id] = append(s.limits[id], l)
	}
	return err
}

// told are the limits the driver was told of a site.
func (s *spy) told(x site.Site) []runtime.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.limits[string(x.ID)])
}

func (s *spy) Templates(ctx context.Context) ([]runtime.Template, error) {
	all, err := s.Driver.Templates(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bare {
		return nil, err
	}
	for i := range all {
		if s.services != nil {
			all[i].Services = s.services
		}
	}
	return all, err
}

func (s *spy) List(ctx context.Context) ([]runtime.Info, error) {
	all, err := s.Driver.List(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range all {
		all[i].Template = s.pinned[all[i].ID]
	}
	return all, err
}

func (s *spy) refusal(call string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refuse[call]
}

func (s *spy) setRefusal(call string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[call] = err
}

func (s *spy) Versions(context.Context) ([]runtime.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.versions), s.refuse["versions"]
}

func (s *spy) BuildTemplate(ctx context.Context, name string) (runtime.Version, error) {
	runtime.ReportBuild(ctx, runtime.Build{Step: runtime.BuildInstall, Done: 5, Total: 10})
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return runtime.Version{}, ctx.Err()
		}
	}
	v := runtime.Version{Template: runtime.Template{Name: name, Version: "20261121-1"}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refuse["build"]; err != nil {
		return runtime.Version{}, err
	}
	s.versions = append(s.versions, v)
	return v, nil
}

func (s *spy) TestTemplate(context.Context, string, string) error    { return s.refusal("test") }
func (s *spy) PublishTemplate(context.Context, string, string) error { return s.refusal("publish") }
func (s *spy) RetireTemplate(context.Context, string, string) error  { return s.refusal("retire") }

func (s *spy) Move(_ context.Context, id, version string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves = append(s.moves, id+" "+version)
	if err := s.refuse[id]; err != nil {
		return err
	}
	s.pinned[id] = "web@" + version
	return nil
}

func (s *spy) moved() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.moves)
}
