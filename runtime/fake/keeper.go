package fake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"petitpont/runtime"
)

var _ runtime.Keeper = (*Driver)(nil)

// services are what every version of a fake template offers.
var services = []string{"nginx", "apache", "caddy", "php", "python", "node", "mariadb", "postgresql"}

// kept are the versions there are; each of Names begins with a published version "1". d.mu is held.
func (d *Driver) kept() []runtime.Version {
	if d.versions == nil {
		d.versions = []runtime.Version{}
		for _, name := range d.Names {
			d.versions = append(d.versions, runtime.Version{Template: d.template(name, "1"), Published: true, TestedAt: d.Now()})
		}
	}
	return d.versions
}

func (d *Driver) template(name, version string) runtime.Template {
	return runtime.Template{Name: name, Version: version, BuiltAt: d.Now(), Services: slices.Clone(services)}
}

// newest is the published version that new containers get.
func (d *Driver) newest(name string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range slices.Backward(d.kept()) {
		if v.Name == name && v.Published {
			return v.Version, nil
		}
	}
	return "", fmt.Errorf("template %s: %w", name, runtime.ErrNoTemplate)
}

// Touch makes a container's packages its own, so that Move refuses it.
func (d *Driver) Touch(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.boxes[id]; b != nil {
		b.touched = true
	}
}

// Versions lists every version with the containers pinned to it. Step: versions.
func (d *Driver) Versions(ctx context.Context) ([]runtime.Version, error) {
	if err := d.script.at(ctx, "versions", ""); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	all := slices.Clone(d.kept())
	for i, v := range all {
		all[i].Sites = d.pinned(v.Name, v.Version)
	}
	slices.SortStableFunc(all, func(a, b runtime.Version) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (d *Driver) pinned(name, version string) (n int) {
	for _, b := range d.boxes {
		if b.template == name+"@"+version {
			n++
		}
	}
	return n
}

// BuildTemplate adds a version, after a report of each step. Steps: build, build.STEP.
func (d *Driver) BuildTemplate(ctx context.Context, name string) (runtime.Version, error) {
	if !slices.Contains(d.Names, name) {
		return runtime.Version{}, fmt.Errorf("recipe %s: %w", name, runtime.ErrNoTemplate)
	}
	if err := d.script.at(ctx, "build", name); err != nil {
		return runtime.Version{}, err
	}
	for i, step := range []runtime.BuildStep{
		runtime.BuildLists, runtime.BuildDownload, runtime.BuildUnpack,
		runtime.BuildInstall, runtime.BuildSetUp, runtime.BuildClean, runtime.BuildWrite,
	} {
		runtime.ReportBuild(ctx, runtime.Build{Step: step, Done: int64(i) << 20, Total: 6 << 20})
		if err := d.script.at(ctx, "build."+string(step), name); err != nil {
			return runtime.Version{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	last := 0
	for _, v := range d.kept() {
		if n, _ := strconv.Atoi(v.Version); v.Name == name {
			last = max(last, n)
		}
	}
	d.builds[name] = max(d.builds[name], last) + 1
	v := runtime.Version{Template: d.template(name, strconv.Itoa(d.builds[name]))}
	d.versions = append(d.versions, v)
	return v, nil
}

// TestTemplate passes, unless the script says otherwise: an error of "test" is the version's fault. Step: test.
func (d *Driver) TestTemplate(ctx context.Context, name, version string) error {
	if err := d.with(name, version, func(*runtime.Version) error { return nil }); err != nil {
		return err
	}
	runtime.ReportBuild(ctx, runtime.Build{Step: runtime.BuildTest, Total: 1})
	fault := d.script.at(ctx, "test", name+"@"+version)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return d.with(name, version, func(v *runtime.Version) error {
		v.TestedAt, v.Fault = d.Now(), ""
		if fault != nil {
			v.TestedAt, v.Fault = time.Time{}, fault.Error()
		}
		return fault
	})
}

// PublishTemplate lets new containers have it. Step: publish.
func (d *Driver) PublishTemplate(ctx context.Context, name, version string) error {
	if err := d.script.at(ctx, "publish", name+"@"+version); err != nil {
		return err
	}
	return d.with(name, version, func(v *runtime.Version) error {
		if v.TestedAt.IsZero() && !v.Published {
			return fmt.Errorf("publish %s@%s: %w", name, version, runtime.ErrUntested)
		}
		v.Published = true
		return nil
	})
}

// RetireTemplate removes a version nobody is pinned to. Step: retire.
func (d *Driver) RetireTemplate(ctx context.Context, name, version string) error {
	if err := d.script.at(ctx, "retire", name+"@"+version); err != nil {
		return err
	}
	err := d.with(name, version, func(*runtime.Version) error {
		if d.pinned(name, version) > 0 {
			return fmt.Errorf("retire %s@%s: %w", name, version, runtime.ErrInUse)
		}
		d.versions = slices.DeleteFunc(d.versions, func(v runtime.Version) bool { return v.Name == name && v.Version == version })
		return nil
	})
	if errors.Is(err, runtime.ErrNoTemplate) {
		return nil
	}
	return err
}

// with runs a short change of a known version under the lock.
func (d *Driver) with(name, version string, do func(*runtime.Version) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, v := range d.kept() {
		if v.Name == name && v.Version == version {
			return do(&d.versions[i])
		}
	}
	return fmt.Errorf("template %s@%s: %w", name, version, runtime.ErrNoTemplate)
}

// Move pins a stopped, untouched container to another published version. Step: move.
func (d *Driver) Move(ctx context.Context, id, version string) error {
	return d.change(ctx, "move", id, func(b *box) error {
		switch i := slices.IndexFunc(d.kept(), func(v runtime.Version) bool { return v.Name == b.spec.Template && v.Version == version }); {
		case b.status != runtime.Stopped:
			return fmt.Errorf("move %s: %w", id, runtime.ErrRunning)
		case b.template == b.spec.Template+"@"+version:
			return nil
		case i < 0:
			return fmt.Errorf("move %s to %s: %w", id, version, runtime.ErrNoTemplate)
		case !d.versions[i].Published:
			return fmt.Errorf("move %s to %s: %w", id, version, runtime.ErrUntested)
		case b.touched:
			return fmt.Errorf("move %s: %w", id, runtime.ErrChanged)
		}
		b.template = b.spec.Template + "@" + version
		b.closeSessions()
		return nil
	})
}
