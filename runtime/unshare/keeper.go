package unshare

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"petitpont/runtime"
	"petitpont/runtime/unshare/template"
)

var _ runtime.Keeper = (*Driver)(nil)

// Versions lists every version, with how many sites are pinned to each. Throw-away sites do not count.
func (d *Driver) Versions(_ context.Context) ([]runtime.Version, error) {
	all, err := template.Versions(d.templates.dir)
	for i, v := range all {
		all[i].Sites = d.pinned(v.Name, v.Version)
	}
	return all, err
}

func (d *Driver) pinned(name, version string) (sites int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.sites {
		if c.record.Spec.Template == name && c.record.Version == version && !c.record.Trial {
			sites++
		}
	}
	return sites
}

// BuildTemplate makes a new version from the recipe of that name.
func (d *Driver) BuildTemplate(ctx context.Context, name string) (runtime.Version, error) {
	recipe, err := template.Recipe(name)
	if err != nil {
		return runtime.Version{}, err
	}
	o := d.Build
	o.Dir, o.Log, o.Now = d.templates.dir, d.Log, d.Now
	o.Progress = func(b runtime.Build) { runtime.ReportBuild(ctx, b) }
	built, err := template.Build(ctx, recipe, o)
	return runtime.Version{Template: built}, err
}

// PublishTemplate lets new sites be made of a version that has passed its test.
func (d *Driver) PublishTemplate(_ context.Context, name, version string) error {
	d.templates.states.Lock()
	defer d.templates.states.Unlock()
	if _, err := template.Read(d.templates.dir, name, version); err != nil {
		return err
	}
	s, err := template.ReadState(d.templates.dir, name, version)
	if err != nil || s.Published {
		return err
	}
	if s.TestedAt.IsZero() {
		return fmt.Errorf("publish %s@%s: %w", name, version, runtime.ErrUntested)
	}
	return template.Publish(d.templates.dir, name, version)
}

// RetireTemplate removes a version that no site is pinned to. While it looks, no site is pinned and none moves.
func (d *Driver) RetireTemplate(_ context.Context, name, version string) error {
	d.templates.pins.Lock()
	defer d.templates.pins.Unlock()
	d.mu.Lock()
	for id, c := range d.sites { // a throw-away site's too: its lower layer must not go
		if c.record.Spec.Template == name && c.record.Version == version {
			d.mu.Unlock()
			return fmt.Errorf("retire %s@%s: %w: %s", name, version, runtime.ErrInUse, id)
		}
	}
	d.mu.Unlock()
	d.templates.forget(name, version)
	return template.Remove(d.templates.dir, name, version)
}

// Move pins a stopped container to another version. The lower layer of an overlay may change only while nothing is
// mounted on it, and only if the files above it fit: so the box is taken away before, and packages have to be the
// version's own. A database keeps its files across versions of one suite, and of no other.
func (d *Driver) Move(ctx context.Context, id, version string) error {
	c, err := d.find(id)
	if err != nil {
		return err
	}
	defer d.leave(c)
	if c.box != nil && c.box.running() && c.box.alive() {
		return fmt.Errorf("move %s: %w", id, runtime.ErrRunning)
	}
	if c.record.Version == version {
		return nil
	}
	d.templates.pins.RLock()
	defer d.templates.pins.RUnlock()
	r := c.record
	r.Version = version
	if err := d.fits(c.record, r); err != nil {
		return fmt.Errorf("move %s: %w", id, err)
	}
	if err := d.untouched(ctx, c); err != nil {
		return fmt.Errorf("move %s: %w", id, err)
	}
	if err := d.writeRecord(d.siteDir(id), r); err != nil {
		return fmt.Errorf("move %s: %w", id, err)
	}
	d.mu.Lock()
	c.record = r
	d.mu.Unlock()
	return nil
}

// fits tells whether the version of the second record can take the place of the first's.
func (d *Driver) fits(was, is record) error {
	t, err := d.templates.get(is.Spec.Template, is.Version)
	if err != nil {
		return err
	}
	s, err := template.ReadState(d.templates.dir, is.Spec.Template, is.Version)
	if err != nil {
		return err
	}
	if !s.Published {
		return fmt.Errorf("%s@%s is not published: %w", is.Spec.Template, is.Version, runtime.ErrUntested)
	}
	old, err := d.templates.get(was.Spec.Template, was.Version)
	if err != nil {
		return err
	}
	if old.Suite != "" && old.Suite != t.Suite { // the first templates did not say theirs
		return fmt.Errorf("from %s to %s: %w", old.Suite, t.Suite, runtime.ErrChanged)
	}
	for _, name := range is.Spec.Services {
		if _, err := t.service(name, nil); err != nil {
			return err
		}
	}
	return nil
}

// untouched asks inside the box, and leaves no box standing.
func (d *Driver) untouched(ctx context.Context, c *container) (err error) {
	want, err := d.templates.packages(c.record.Spec.Template, c.record.Version)
	if err != nil {
		return err
	}
	if err := d.standing(ctx, c, false); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.kill(ctx, c)) }()
	got, err := d.askBox(ctx, c.box, "packages")
	if err != nil {
		return fmt.Errorf("compare packages: %w", err)
	}
	if strings.TrimSpace(got) != want {
		return runtime.ErrChanged
	}
	return nil
}
