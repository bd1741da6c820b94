package remote_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"petitpont/runtime"
	"petitpont/runtime/fake"
	"petitpont/runtime/remote"
)

// TestKeeper goes through a version's life, in memory and across the socket: both have to say the same.
func TestKeeper(t *testing.T) {
	for name, keeper := range map[string]func(*rig) both{
		"in memory":         func(r *rig) both { return r.Driver },
		"across the socket": func(r *rig) both { return remote.Dial(r.path) },
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			lifeOfAVersion(t, keeper(r), r.Driver)
		})
	}
}

type both interface {
	runtime.Driver
	runtime.Keeper
}

func lifeOfAVersion(t *testing.T, k both, d *fake.Driver) {
	ctx := t.Context()
	var steps []runtime.BuildStep
	watched := runtime.WithBuild(ctx, func(b runtime.Build) { steps = append(steps, b.Step) })
	built, err := k.BuildTemplate(watched, "web")
	if err != nil || built.Name != "web" || built.Version != "2" || built.Published {
		t.Fatalf("%+v %v", built, err)
	}
	if len(steps) != 7 || steps[0] != runtime.BuildLists || steps[6] != runtime.BuildWrite {
		t.Errorf("steps %v", steps)
	}
	is(t, "publish without a test", k.PublishTemplate(ctx, "web", "2"), runtime.ErrUntested)
	why := errors.New("nginx does not answer")
	d.Fail("test", why)
	if err := k.TestTemplate(ctx, "web", "2"); err == nil || seen(t, k, "2").Fault != why.Error() {
		t.Errorf("a failed test: %v, %+v", err, seen(t, k, "2"))
	}
	is(t, "publish after a failed test", k.PublishTemplate(ctx, "web", "2"), runtime.ErrUntested)
	d.Fail("test", nil)
	is(t, "test", k.TestTemplate(ctx, "web", "2"), nil)
	old := put(t, k, 1)
	is(t, "move to what is not published", k.Move(ctx, old, "2"), runtime.ErrUntested)
	is(t, "publish", k.PublishTemplate(ctx, "web", "2"), nil)
	young := put(t, k, 2)
	if a, b := seen(t, k, "1").Sites, seen(t, k, "2").Sites; a != 1 || b != 1 {
		t.Errorf("pinned: %d and %d", a, b)
	}
	is(t, "retire what is in use", k.RetireTemplate(ctx, "web", "1"), runtime.ErrInUse)
	if _, err := k.Start(ctx, old); err != nil {
		t.Fatal(err)
	}
	is(t, "move a running one", k.Move(ctx, old, "2"), runtime.ErrRunning)
	is(t, "stop", k.Stop(ctx, old, 0), nil)
	is(t, "move to nowhere", k.Move(ctx, old, "9"), runtime.ErrNoTemplate)
	is(t, "move", k.Move(ctx, old, "2"), nil)
	d.Touch(young)
	is(t, "move one with packages of its own", k.Move(ctx, young, "1"), runtime.ErrChanged)
	is(t, "move an absent one", k.Move(ctx, "nobody0000", "1"), runtime.ErrNotExist)
	is(t, "retire", k.RetireTemplate(ctx, "web", "1"), nil)
	is(t, "retire again", k.RetireTemplate(ctx, "web", "1"), nil)
	is(t, "test an absent one", k.TestTemplate(ctx, "web", "1"), runtime.ErrNoTemplate)
	if _, err := k.BuildTemplate(ctx, "nonesuch"); !errors.Is(err, runtime.ErrNoTemplate) {
		t.Errorf("build without a recipe: %v", err)
	}
	stops, cancel := context.WithCancel(ctx)
	release := d.Hold("build.install")
	defer release()
	go func() { _ = d.Await(ctx, "build.install", 2); cancel() }()
	if _, err := k.BuildTemplate(stops, "web"); !errors.Is(err, context.Canceled) {
		t.Errorf("a build that is given up: %v", err)
	}
	if v := seen(t, k, "3"); v.Name != "" {
		t.Errorf("it left %+v", v)
	}
}

func put(t *testing.T, k both, slot int) string {
	t.Helper()
	s := spec(slot)
	if err := k.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s.ID
}

func seen(t *testing.T, k both, version string) runtime.Version {
	t.Helper()
	all, err := k.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(v runtime.Version) bool { return v.Version == version })
	if i < 0 {
		return runtime.Version{}
	}
	return all[i]
}

func is(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
