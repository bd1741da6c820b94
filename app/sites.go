package app

import (
	"context"
	"net/netip"

	"petitpont/runtime"
	"petitpont/site"
)

// Sites is the heart as the panel sees it; *site.Service is one. Every call that names a site also names who asks, and
// answers CodeNotFound for what that person may not see (RULE SCOPE).
type Sites interface {
	People
	Shelf
	Verbs
	Fleet
}

var _ Sites = (*site.Service)(nil)

// People prove who they are, and lose it again.
type People interface {
	// Login throttles, and says why it refuses by *site.Error.
	Login(ctx context.Context, login, password string, from netip.Addr) (site.Identity, error)
	// Revoked is closed when the live sessions of this identity must end (RULE EPOCH); nil means never. Asking tells that
	// they are here, so that the directory is asked about them.
	Revoked(who site.Identity) <-chan struct{}
	Plan(who site.Identity) site.Plan
}

// Shelf is what can be seen.
type Shelf interface {
	Mine(ctx context.Context, who site.Identity) ([]site.Site, error)
	Find(ctx context.Context, who site.Identity, name string) (site.Site, error)
	Usage(ctx context.Context, who site.Identity, name string) (runtime.Usage, error)
	Progress(ctx context.Context, who site.Identity, name string) (site.Progress, error)
	Limits(ctx context.Context, who site.Identity, name string) (site.Limits, error)
	// Database is how a site's programs reach its database, with the password; zero without one.
	Database(ctx context.Context, who site.Identity, name string) (site.Database, error)
	// Choices are what a new site can be made of.
	Choices(ctx context.Context) site.Choices
	// CheckName says what a name would become and whether it may be had; Suggest is a free one to begin with.
	CheckName(ctx context.Context, who site.Identity, raw string) (clean string, err error)
	Suggest(who site.Identity) string
}

// Verbs are what can be asked. They return once the wish is stored; the work goes on.
type Verbs interface {
	Create(ctx context.Context, who site.Identity, n site.New) (site.Site, error)
	Start(ctx context.Context, who site.Identity, name string) error
	Stop(ctx context.Context, who site.Identity, name string) error
	Restart(ctx context.Context, who site.Identity, name string) error
	Delete(ctx context.Context, who site.Identity, name, typed string) error
}

// Fleet is for administrators.
type Fleet interface {
	All(ctx context.Context, who site.Identity, q site.Query) (site.Page, error)
	Host(ctx context.Context) (site.Host, error)
	SetLimits(ctx context.Context, who site.Identity, name string, own runtime.Limits) error
	Health(ctx context.Context, who site.Identity) (site.Health, error)
	DeleteStray(ctx context.Context, who site.Identity, id, typed string) error
	Bench
}

// Bench is where administrators work on templates. Builds and tests go on after they return.
type Bench interface {
	Templates(ctx context.Context, who site.Identity) (site.Templates, error)
	BuildTemplate(ctx context.Context, who site.Identity, name string) error
	TestTemplate(ctx context.Context, who site.Identity, name, version string) error
	PublishTemplate(ctx context.Context, who site.Identity, name, version string) error
	RetireTemplate(ctx context.Context, who site.Identity, name, version string) error
	MoveSites(ctx context.Context, who site.Identity, name, version string) (sites int, err error)
}
