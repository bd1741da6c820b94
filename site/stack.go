package site

import (
	"context"
	"slices"

	"petitpont/runtime"
)

// none is the language or database of a site that has none.
const none = "none"

// What a stack is made of, the usual one first. They are also the names of the template's services.
var (
	servers   = []string{"nginx", "apache", "caddy"}
	languages = []string{"php", "python", "node", none}
	databases = []string{none, "mariadb", "postgresql"}
)

// template is what every stack runs on: one for all, so that sites share its files in memory.
const template = "web"

// offers are the usual stacks, as cards of the create form. The first is what one click gives.
var offers = []Stack{
	{Template: template, Server: "nginx", Language: "php", Database: none},
	{Template: template, Server: "nginx", Language: "php", Database: "mariadb"},
	{Template: template, Server: "nginx", Language: none, Database: none},
	{Template: template, Server: "nginx", Language: "python", Database: none},
	{Template: template, Server: "nginx", Language: "node", Database: none},
}

// Offers lists the usual stacks, the most usual one first.
func Offers() []Stack { return slices.Clone(offers) }

// Key is what a card of the create form is called: php, php-mariadb, none.
func (s Stack) Key() string {
	if s.HasDatabase() {
		return s.Language + "-" + s.Database
	}
	return s.Language
}

// HasDatabase tells whether a database runs in the site.
func (s Stack) HasDatabase() bool { return s.Database != none && s.Database != "" }

// Choices are what can be chosen for a stack.
type Choices struct {
	Servers   []string
	Languages []string
	Databases []string // of a stack that has a language
}

// DatabasesFor are the databases of one language: without a program to ask it, a database makes no sense.
func (c Choices) DatabasesFor(language string) []string {
	if language == none {
		return []string{none}
	}
	return c.Databases
}

// Offers are the usual stacks that can be had.
func (c Choices) Offers() []Stack {
	return slices.DeleteFunc(Offers(), func(s Stack) bool { return !c.allow(s) })
}

// allow tells whether a stack can be had and makes sense.
func (c Choices) allow(s Stack) bool {
	return s.Template == template && slices.Contains(c.Servers, s.Server) &&
		slices.Contains(c.Languages, s.Language) && slices.Contains(c.DatabasesFor(s.Language), s.Database)
}

// AllChoices are those of a template that holds everything.
func AllChoices() Choices {
	return Choices{slices.Clone(servers), slices.Clone(languages), slices.Clone(databases)}
}

// Choices are what the create form may offer: what the newest template holds, for an older one may lack a server or a
// database. Without a published template there is nothing; with the runtime silent, whatever a template may hold.
func (v *Service) Choices(ctx context.Context) Choices {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	all, err := v.cfg.Driver.Templates(ctx)
	if err != nil {
		return AllChoices()
	}
	var newest *runtime.Template
	for i := range all {
		if all[i].Name == template {
			newest = &all[i] // they come oldest first
		}
	}
	if newest == nil {
		return Choices{}
	}
	return choicesOf(newest.Services)
}

// choicesOf leaves what the services of a template can run.
func choicesOf(services []string) Choices {
	missing := func(name string) bool { return name != none && !slices.Contains(services, name) }
	c := AllChoices()
	c.Servers = slices.DeleteFunc(c.Servers, missing)
	c.Languages = slices.DeleteFunc(c.Languages, missing)
	c.Databases = slices.DeleteFunc(c.Databases, missing)
	return c
}

// services are what runs of a stack, in the order they start. They end in reverse: the database first, so that it
// closes its files while there is time, whatever the others still do.
func (s Stack) services() []string {
	all := []string{s.Server}
	if s.Language != none {
		all = append(all, s.Language)
	}
	if s.HasDatabase() {
		all = append(all, s.Database)
	}
	return all
}
