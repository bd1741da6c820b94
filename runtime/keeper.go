package runtime

import (
	"context"
	"time"
)

// Keeper looks after the templates that sites are made from. A version is built, then tested by a throw-away site, then
// published: only then Create may pin new sites to it. Versions never change, and sites stay on theirs until Move.
// Building, testing and publishing one name are serialised by the driver; every call may be repeated.
type Keeper interface {
	// Versions lists every version there is, by name, oldest first within a name.
	Versions(ctx context.Context) ([]Version, error)
	// BuildTemplate makes a new version, neither tested nor published, which takes minutes. ErrNoTemplate without a
	// recipe of that name. Nothing is left after an error.
	BuildTemplate(ctx context.Context, name string) (Version, error)
	// TestTemplate makes a throw-away site of the version and looks whether it answers. What goes wrong there is both
	// returned and kept as the version's Fault.
	TestTemplate(ctx context.Context, name, version string) error
	// PublishTemplate makes it what new sites get, if it is the newest published. ErrUntested unless its test passed.
	PublishTemplate(ctx context.Context, name, version string) error
	// RetireTemplate removes a version for good. ErrInUse while a site is pinned to it. Retiring an absent one is a no-op.
	RetireTemplate(ctx context.Context, name, version string) error
	// Move pins a stopped container to another published version of its template. ErrChanged when its packages are no
	// longer those of the version it has, because then its files and the new version's would mix; ErrRunning while it
	// runs. Open Files sessions end.
	Move(ctx context.Context, id, version string) error
}

// Version is a template in any stage of its life.
type Version struct {
	Template
	Published bool
	TestedAt  time.Time // zero: its test has not passed yet
	Fault     string    // why its last test failed; at most 4 KiB, partly a program's output, never markup (RULE TEXT)
	Sites     int       // how many are pinned to it
}

// Build is how far a BuildTemplate is.
type Build struct {
	Step        BuildStep
	Done, Total int64 // bytes on disk; Total 0: not known
}

// BuildStep is what a BuildTemplate, or the test that follows, is about.
type BuildStep string

// The steps, in their order.
const (
	BuildLists    BuildStep = "lists"    // reading package lists
	BuildDownload BuildStep = "download" // downloading packages
	BuildUnpack   BuildStep = "unpack"   // unpacking the base system
	BuildInstall  BuildStep = "install"  // installing packages
	BuildSetUp    BuildStep = "setup"    // setting up and checking
	BuildClean    BuildStep = "clean"    // removing what no site needs
	BuildWrite    BuildStep = "write"    // writing to disk
	BuildTest     BuildStep = "test"     // trying it with throw-away sites (TestTemplate)
)

type buildKey struct{}

// WithBuild returns a ctx whose BuildTemplate and TestTemplate calls report how far they are. report must not block.
func WithBuild(ctx context.Context, report func(Build)) context.Context {
	return context.WithValue(ctx, buildKey{}, report)
}

// ReportBuild tells the watcher of ctx, if there is one. Drivers call it.
func ReportBuild(ctx context.Context, b Build) {
	if report, ok := ctx.Value(buildKey{}).(func(Build)); ok {
		report(b)
	}
}
