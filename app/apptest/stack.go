package apptest

import (
	"context"
	"slices"
	"strconv"

	"petitpont/runtime"
	"petitpont/site"
)

// Password is that of every database.
const Password = "S3cretOfTheDatabase0"

// SetChoices changes what a site can be made of.
func (s *Sites) SetChoices(c site.Choices) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choices = c
}

// Choices are what SetChoices made them; everything otherwise.
func (s *Sites) Choices(context.Context) site.Choices {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.choices
}

// allow refuses what the real heart refuses. s.mu is held.
func (s *Sites) allow(x site.Stack) error {
	if !slices.Contains(s.choices.DatabasesFor(x.Language), x.Database) || !slices.Contains(s.choices.Servers, x.Server) {
		return &site.Error{Code: site.CodeStack}
	}
	return nil
}

// Database has the same password everywhere.
func (s *Sites) Database(_ context.Context, who site.Identity, name string) (site.Database, error) {
	err := s.enter("Database", name)
	defer s.mu.Unlock()
	if err != nil {
		return site.Database{}, err
	}
	e, err := s.find(who, name)
	if err != nil || !e.Stack.HasDatabase() {
		return site.Database{}, err
	}
	d := site.Database{
		Engine: e.Stack.Database, Host: "localhost", Port: 3306, Socket: "/run/mysqld/mysqld.sock",
		Name: "site", User: "site", Password: Password,
	}
	if d.Engine == "postgresql" {
		d.Port, d.Socket = 5432, "/run/postgresql"
	}
	return d, nil
}

// Limits are the default plan's, with the site's own over it.
func (s *Sites) Limits(_ context.Context, who site.Identity, name string) (site.Limits, error) {
	err := s.enter("Limits", name)
	defer s.mu.Unlock()
	if err != nil {
		return site.Limits{}, err
	}
	e, err := s.find(who, name)
	if err != nil {
		return site.Limits{}, err
	}
	plan := site.DefaultPlans()[e.Role].Limits
	l := site.Limits{Plan: plan, Held: plan, Own: e.Own, Waits: e.waits}
	if e.Own.Disk > 0 {
		l.Held.Disk = e.Own.Disk
	}
	if e.Own.Procs > 0 {
		l.Held.Procs = e.Own.Procs
	}
	return l, nil
}

// SetLimits keeps them, and refuses a disk below that of the plan.
func (s *Sites) SetLimits(_ context.Context, who site.Identity, name string, own runtime.Limits) error {
	err := s.enter("SetLimits", name)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	e, err := s.find(who, name)
	if err != nil {
		return err
	}
	if plan := site.DefaultPlans()[e.Role].Limits; own.Disk > 0 && own.Disk < plan.Disk {
		return &site.Error{Code: site.CodeDiskShrinks, Args: site.Args{"s": name, "size": strconv.FormatInt(plan.Disk, 10)}}
	}
	e.Own = own
	return nil
}

// SetHealth changes what Health says.
func (s *Sites) SetHealth(h site.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = h
}

// Health is what SetHealth made it.
func (s *Sites) Health(_ context.Context, who site.Identity) (site.Health, error) {
	err := s.enter("Health", "")
	defer s.mu.Unlock()
	if err == nil && !who.Admin {
		err = &site.Error{Code: site.CodeForbidden}
	}
	return s.health, err
}

// DeleteStray forgets a stray container of SetHealth when its ID was typed.
func (s *Sites) DeleteStray(_ context.Context, _ site.Identity, id, typed string) error {
	err := s.enter("DeleteStray", id)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.health.Lost.Containers, func(c runtime.Info) bool { return c.ID == id })
	switch {
	case i < 0:
		return &site.Error{Code: site.CodeNotFound}
	case typed != id:
		return &site.Error{Code: site.CodeTyped, Args: site.Args{"x": typed, "s": id}}
	}
	s.health.Lost.Containers = slices.Delete(slices.Clone(s.health.Lost.Containers), i, i+1)
	return nil
}
