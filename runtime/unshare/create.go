package unshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"petitpont/runtime"
)

// Create builds the site's folder under a temporary name and publishes it by one rename (RULE ATOMIC).
func (d *Driver) Create(ctx context.Context, s runtime.Spec) error {
	if err := checkSpec(s); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	d.templates.pins.RLock() // so that the version is not retired before we are counted
	defer d.templates.pins.RUnlock()
	t, err := d.templates.newest(s.Template)
	if err != nil {
		return fmt.Errorf("create %s: %w", s.ID, err)
	}
	return d.create(ctx, s, t, false)
}

// create makes a site that is pinned to a version. The caller holds templates.pins.
func (d *Driver) create(ctx context.Context, s runtime.Spec, t *pinned, trial bool) error {
	s.Limits = withDefaults(s.Limits)
	for _, name := range s.Services {
		if _, err := t.service(name, nil); err != nil {
			return fmt.Errorf("create %s: %w", s.ID, err)
		}
	}
	var u undo
	defer u.run()
	r := record{Spec: s, Version: t.Version, MadeAt: d.Now().UTC(), Trial: trial}
	if err := d.reserve(r, &u); err != nil {
		return fmt.Errorf("create %s: %w", s.ID, err)
	}
	runtime.Report(ctx, runtime.StepDisk)
	if err := d.makeSite(ctx, r, &u); err != nil {
		return fmt.Errorf("create %s: %w", s.ID, err)
	}
	u.keep()
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.sites[s.ID]
	c.made, c.seen = true, d.info(c)
	return nil
}

// reserve takes the id, the slot and the room, before anything is made of them.
func (d *Driver) reserve(r record, u *undo) error {
	if _, err := d.Network.Addr(r.Spec.Segment, r.Spec.Slot); err != nil {
		return fmt.Errorf("%w: %w", runtime.ErrInvalid, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.sites[r.Spec.ID]; ok {
		return runtime.ErrExist
	}
	for id, c := range d.sites {
		if c.record.Spec.Slot == r.Spec.Slot {
			return fmt.Errorf("%w: slot %d is %s's", runtime.ErrInvalid, r.Spec.Slot, id)
		}
	}
	if left, err := d.available(); err != nil {
		return err
	} else if left < r.Spec.Limits.Disk {
		return fmt.Errorf("%w: %d bytes wanted, %d may be promised", runtime.ErrNoSpace, r.Spec.Limits.Disk, left)
	}
	d.sites[r.Spec.ID] = &container{record: r}
	u.push(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.sites, r.Spec.ID)
	})
	return nil
}

func (d *Driver) makeSite(ctx context.Context, r record, u *undo) error {
	temp, final := d.newDir(r.Spec.ID), d.siteDir(r.Spec.ID)
	if err := d.step(ctx, "make folder"); err != nil {
		return err
	}
	if err := os.RemoveAll(temp); err != nil { // of a Create that was killed
		return fmt.Errorf("clear folder: %w", err)
	}
	if err := os.Mkdir(temp, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	u.push(func() { _ = os.RemoveAll(temp) })
	if err := d.step(ctx, "clone image"); err != nil {
		return err
	}
	if err := d.blanks.clone(ctx, filepath.Join(temp, imageName), r.Spec.Limits); err != nil {
		return fmt.Errorf("clone image: %w", err)
	}
	if err := d.step(ctx, "write record"); err != nil {
		return err
	}
	if err := d.writeRecord(temp, r); err != nil {
		return err
	}
	if err := d.step(ctx, "publish"); err != nil {
		return err
	}
	if err := os.Rename(temp, final); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	u.push(func() { _ = os.RemoveAll(final) })
	if err := d.step(ctx, "make durable"); err != nil {
		return err
	}
	return syncDir(d.sitesDir())
}

// Destroy kills everything and removes the disk. What it began is ended by a second call, or by the next Open.
func (d *Driver) Destroy(ctx context.Context, id string) error {
	c, err := d.find(id)
	if errors.Is(err, runtime.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	if c.box != nil {
		if err := d.kill(ctx, c); err != nil {
			return fmt.Errorf("destroy %s: %w", id, err)
		}
	}
	if err := d.removeSite(ctx, id); err != nil {
		return fmt.Errorf("destroy %s: %w", id, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sites, id)
	return nil
}

// removeSite hides the folder first, so that a crash in the middle leaves something Open removes, not half a site.
// The image goes as one file: nothing of the tenant's tree is walked.
func (d *Driver) removeSite(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	image, err := lockImage(ctx, d.image(id)) // a loop device that still writes would keep the blocks
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if image != nil {
		defer func() { _ = image.Close() }()
	}
	gone := filepath.Join(d.sitesDir(), "."+id+".gone")
	if err := os.Rename(d.siteDir(id), gone); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("hide: %w", err)
	}
	return errors.Join(os.RemoveAll(gone), syncDir(d.sitesDir()))
}
