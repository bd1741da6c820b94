package views

import (
	"context"
	"net/url"
	"strings"

	"petitpont/runtime"
	"petitpont/site"
	"petitpont/views/i18n"
)

// CreateForm is what was typed into the form of P3, and what there is to say about it.
type CreateForm struct {
	Name    string
	Fault   string   // why the name, or the request, was refused; empty otherwise
	Blame   bool     // the fault is the name's
	Free    bool     // the name may be had
	Clean   string   // what the name becomes, when that is not what was typed
	Offers  []string // names that may be had instead
	Options Options
	Limits  runtime.Limits
	Have    int
	Max     int
	First   bool // the person has no site yet
}

// Options are what was chosen of a stack, and what can be.
type Options struct {
	Choices  site.Choices
	Card     site.Stack // the card that is chosen
	Server   string     // "" is the card's
	Database string     // "" is the card's
	Fault    string     // why the combination was refused; empty otherwise
}

// opened tells whether there is something to see under "More options".
func (o Options) opened() bool {
	return o.server() != o.Card.Server || o.Database != "" || o.Fault != ""
}

// server is the one that is chosen.
func (o Options) server() string {
	if o.Server != "" {
		return o.Server
	}
	return o.Card.Server
}

// databases are those the chosen card can have.
func (o Options) databases() []string { return o.Choices.DatabasesFor(o.Card.Language) }

// cardDatabase names the database of the chosen card.
func (o Options) cardDatabase(ctx context.Context) string {
	if o.Card.HasDatabase() {
		return t(ctx, "part."+o.Card.Database)
	}
	return t(ctx, "part.none")
}

// databaseName names a database that can be chosen.
func databaseName(ctx context.Context, name string) string {
	if name == "none" {
		return t(ctx, "create.db-no")
	}
	return t(ctx, "part."+name)
}

// aboutStack is the sentence under the name of a card.
func aboutStack(ctx context.Context, s site.Stack) string {
	if key := "stack." + s.Key() + "-about"; i18n.Has(key) {
		return t(ctx, key)
	}
	return t(ctx, "stack."+s.Language+"-about")
}

// suffix is what follows the name in an address: .sites.ecole.fr
func suffix(ctx context.Context) string {
	const probe = "petitpont-probe"
	host := siteHost(ctx, probe)
	if rest, ok := strings.CutPrefix(host, probe); ok {
		return rest
	}
	return ""
}

// withName is the create form with a name filled in.
func withName(name string) string { return "/new?name=" + url.QueryEscape(name) }
