package sitetest

import (
	"context"
	"strings"
	"sync"
	"time"

	"petitpont/site"
)

// Directory is a site.Directory of made-up people. Logins are found whatever their case, as LDAP does.
type Directory struct {
	mu        sync.Mutex
	people    map[string]site.Identity // by login in small letters
	passwords map[string]string
	down      error
	asked     int
	slow      time.Duration
	looked    []string
}

var (
	_ site.Directory = (*Directory)(nil)
	_ site.Registry  = (*Directory)(nil)
)

// NewDirectory knows eleve, prof, asso and admin; each one's password is the login.
func NewDirectory() *Directory {
	d := &Directory{people: map[string]site.Identity{}, passwords: map[string]string{}}
	for _, who := range []site.Identity{
		{Login: "eleve", Name: "Élève Un", Role: site.Student},
		{Login: "prof", Name: "Prof Deux", Role: site.Teacher},
		{Login: "asso", Name: "Association Trois", Role: site.Association},
		{Login: "admin", Name: "Admin Quatre", Role: site.Teacher, Admin: true},
	} {
		d.Add(who, who.Login)
	}
	return d
}

// Add takes a person in. A Key left empty is made from the login.
func (d *Directory) Add(who site.Identity, password string) site.Identity {
	if who.Key == "" {
		who.Key = "uuid-" + who.Login
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people[strings.ToLower(who.Login)], d.passwords[strings.ToLower(who.Login)] = who, password
	return who
}

// Who is a person as Login would return them, without asking.
func (d *Directory) Who(login string) site.Identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.people[strings.ToLower(login)]
}

// SetDown makes every question answer err, until it is nil.
func (d *Directory) SetDown(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = err
}

// Asked counts the questions.
func (d *Directory) Asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// Slow makes every answer take so long.
func (d *Directory) Slow(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = by
}

func (d *Directory) pace() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.slow
}

// Authenticate is as site.Directory says.
func (d *Directory) Authenticate(ctx context.Context, login, password string) (site.Identity, error) {
	time.Sleep(d.pace())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.down != nil {
		return site.Identity{}, d.down
	}
	who, ok := d.people[strings.ToLower(login)]
	if !ok || d.passwords[strings.ToLower(login)] != password || password == "" {
		return site.Identity{}, &site.Error{Code: site.CodeWrongPassword}
	}
	return who, ctx.Err()
}

// Remove takes a person out.
func (d *Directory) Remove(login string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.people, strings.ToLower(login))
}

// Looked lists the logins that were looked up without a password since the last call.
func (d *Directory) Looked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	looked := d.looked
	d.looked = nil
	return looked
}

// Again is as site.Registry says.
func (d *Directory) Again(_ context.Context, people []site.Identity) ([]site.Identity, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down != nil {
		return nil, d.down
	}
	now := make([]site.Identity, len(people))
	for i, who := range people {
		d.looked = append(d.looked, who.Login)
		if found := d.people[strings.ToLower(who.Login)]; found.Key == who.Key && found.Role != "" {
			now[i] = found
		}
	}
	return now, nil
}
