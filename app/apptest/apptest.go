// Package apptest has a heart in memory for the panel: people with passwords, sites whose states a test sets, and a
// clock of its own when one is wanted. It decides what the real one decides about who may see what, and nothing more.
package apptest

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"petitpont/app"
	"petitpont/runtime"
	"petitpont/site"
)

var _ app.Sites = (*Sites)(nil)

// Sites is a heart without a body.
type Sites struct {
	Now  func() time.Time
	Pace time.Duration // how long a site stays in a moving state; 0 for ever, until a test sets another

	mu      sync.Mutex
	people  map[string]person // by login
	sites   map[string]*entry // by name
	revoked map[string]chan struct{}
	calls   []string
	failing map[string]error
	host    site.Host
	health  site.Health
	choices site.Choices
	shelf   site.Templates
}

type person struct {
	password string
	site.Identity
}

type entry struct {
	site.Site
	usage runtime.Usage
	steps []site.StepTime
	waits bool
}

// New has the four people of the demo, each with the password "petitpont", and no site.
func New() *Sites {
	s := &Sites{
		Now: time.Now, people: map[string]person{}, sites: map[string]*entry{},
		revoked: map[string]chan struct{}{}, failing: map[string]error{},
		choices: site.AllChoices(),
		host:    site.Host{Memory: 15 << 30, MemoryMax: 24 << 30, Disk: 410 << 30, DiskMax: 450 << 30},
	}
	s.Add("eleve", "Marie Dupont", site.Student, false)
	s.Add("prof", "Jean Durand", site.Teacher, false)
	s.Add("asso", "Club Robotique", site.Association, false)
	s.Add("admin", "Ada Min", site.Teacher, true)
	return s
}

// Add makes a person known.
func (s *Sites) Add(login, name string, role site.Role, admin bool) site.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := site.Identity{Key: "key-" + login, Login: login, Name: name, Role: role, Admin: admin}
	s.people[login] = person{"petitpont", who}
	s.revoked[who.Key] = make(chan struct{})
	return who
}

// Revoke ends the person's sessions.
func (s *Sites) Revoke(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.revoked["key-"+login])
}

// Put makes a site, or changes it, as a test likes.
func (s *Sites) Put(login, name string, state site.State, change func(*site.Site)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	e := &entry{Site: site.Site{
		ID: site.ID(fmt.Sprintf("%010d", len(s.sites))), Name: name, Owner: "key-" + login, OwnerLogin: login,
		Role: s.people[login].Role, Stack: site.Offers()[0], Want: site.Up, State: state,
		CreatedAt: now.Add(-72 * time.Hour), ChangedAt: now.Add(-3 * time.Hour), UsedAt: now.Add(-20 * time.Minute),
	}}
	if change != nil {
		change(&e.Site)
	}
	e.usage = usage(name, state)
	s.sites[name] = e
}

// usage is made of the name, so that it looks alive and stays the same.
func usage(name string, state site.State) runtime.Usage {
	var sum int64
	for _, r := range name {
		sum = sum*31 + int64(r)
	}
	u := runtime.Usage{
		MemoryMax: 256 << 20, Disk: (sum % 900) << 20, DiskMax: 1 << 30, Inodes: sum % 60000, InodesMax: 100000,
	}
	if state == site.Awake {
		u.Memory, u.Procs, u.CPU = (40+sum%120)<<20, 6, 3200*time.Millisecond
	}
	return u
}

// Fail makes a method answer with err from now on; nil lets it work again.
func (s *Sites) Fail(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing[method] = err
}

// SetHost changes what Host says.
func (s *Sites) SetHost(change func(*site.Host)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.host)
}

// Calls are the methods that were called, each with the name it was given, and forgets them.
func (s *Sites) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// enter notes a call and lets time pass. s.mu is held afterwards.
func (s *Sites) enter(method, name string) error {
	s.mu.Lock()
	s.calls = append(s.calls, strings.TrimSpace(method+" "+name))
	if s.Pace > 0 {
		for _, e := range s.sites {
			s.advance(e)
		}
	}
	return s.failing[method]
}

// Login knows the password of everybody.
func (s *Sites) Login(_ context.Context, login, password string, _ netip.Addr) (site.Identity, error) {
	err := s.enter("Login", login)
	defer s.mu.Unlock()
	if err != nil {
		return site.Identity{}, err
	}
	p, ok := s.people[login]
	if !ok || p.password != password {
		return site.Identity{}, &site.Error{Code: site.CodeWrongPassword}
	}
	return p.Identity, nil
}

// Revoked follows Revoke.
func (s *Sites) Revoked(who site.Identity) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked[who.Key]
}

// Plan is the default one.
func (s *Sites) Plan(who site.Identity) site.Plan { return site.DefaultPlans()[who.Role] }

// Mine is sorted by name.
func (s *Sites) Mine(_ context.Context, who site.Identity) ([]site.Site, error) {
	err := s.enter("Mine", "")
	defer s.mu.Unlock()
	var mine []site.Site
	for _, e := range s.sites {
		if e.Owner == who.Key {
			mine = append(mine, e.Site)
		}
	}
	slices.SortFunc(mine, func(a, b site.Site) int { return cmp.Compare(a.Name, b.Name) })
	return mine, err
}

// find is what the real heart decides: the owner's, or everything for an administrator. s.mu is held.
func (s *Sites) find(who site.Identity, name string) (*entry, error) {
	e := s.sites[name]
	if e == nil || e.Owner != who.Key && !who.Admin {
		return nil, &site.Error{Code: site.CodeNotFound}
	}
	return e, nil
}

// Find is one site.
func (s *Sites) Find(_ context.Context, who site.Identity, name string) (site.Site, error) {
	err := s.enter("Find", name)
	defer s.mu.Unlock()
	if err != nil {
		return site.Site{}, err
	}
	e, err := s.find(who, name)
	if err != nil {
		return site.Site{}, err
	}
	return e.Site, nil
}

// Usage is made of the name.
func (s *Sites) Usage(_ context.Context, who site.Identity, name string) (runtime.Usage, error) {
	err := s.enter("Usage", name)
	defer s.mu.Unlock()
	if err != nil {
		return runtime.Usage{}, err
	}
	e, err := s.find(who, name)
	if err != nil {
		return runtime.Usage{}, err
	}
	return e.usage, nil
}

// CheckName refuses what is taken.
func (s *Sites) CheckName(_ context.Context, _ site.Identity, raw string) (string, error) {
	err := s.enter("CheckName", raw)
	defer s.mu.Unlock()
	if err != nil {
		return "", err
	}
	return s.checkName(raw)
}

func (s *Sites) checkName(raw string) (string, error) {
	name, err := site.CleanName(raw)
	if err != nil {
		return "", err
	}
	if s.sites[name] != nil {
		return "", &site.Error{Code: site.CodeNameTaken, Args: site.Args{"n": name, "a": name + "-2", "b": name + "-3"}}
	}
	return name, nil
}

// Suggest is the login.
func (s *Sites) Suggest(who site.Identity) string { return who.Login }

// All searches, filters, sorts and pages.
func (s *Sites) All(_ context.Context, who site.Identity, q site.Query) (site.Page, error) {
	err := s.enter("All", "")
	defer s.mu.Unlock()
	if err != nil {
		return site.Page{}, err
	}
	if !who.Admin {
		return site.Page{}, &site.Error{Code: site.CodeForbidden}
	}
	p := site.Page{Counts: map[site.State]int{}}
	for _, e := range s.sites {
		p.Counts[e.State]++
		if strings.Contains(e.Name+" "+e.OwnerLogin, q.Text) && (q.State == "" || q.State == string(e.State)) {
			p.Rows = append(p.Rows, site.Row{Site: e.Site, Usage: e.usage})
		}
	}
	p.Total = len(p.Rows)
	slices.SortFunc(p.Rows, order(q))
	from := min(len(p.Rows), (max(1, q.Page)-1)*q.Size)
	p.Rows = p.Rows[from:min(len(p.Rows), from+q.Size)]
	return p, nil
}

func order(q site.Query) func(a, b site.Row) int {
	by := func(a, b site.Row) int { return cmp.Compare(a.Name, b.Name) }
	switch q.Sort {
	case "owner":
		by = func(a, b site.Row) int { return cmp.Compare(a.OwnerLogin, b.OwnerLogin) }
	case "memory":
		by = func(a, b site.Row) int { return cmp.Compare(a.Usage.Memory, b.Usage.Memory) }
	}
	if q.Desc {
		return func(a, b site.Row) int { return by(b, a) }
	}
	return by
}

// Host is what SetHost made it, with the sites that are awake.
func (s *Sites) Host(context.Context) (site.Host, error) {
	err := s.enter("Host", "")
	defer s.mu.Unlock()
	h := s.host
	for _, e := range s.sites {
		if e.State == site.Awake {
			h.Awake++
		}
	}
	return h, err
}
