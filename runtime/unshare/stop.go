package unshare

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"petitpont/runtime"
)

// Stop ends the services, last first, and then everything but open Files sessions.
func (d *Driver) Stop(ctx context.Context, id string, grace time.Duration) error {
	c, err := d.find(id)
	if err != nil {
		return err
	}
	defer d.leave(c)
	b := c.box
	if b == nil || !b.running() {
		return nil
	}
	b.asked = true
	if err := d.stopServices(ctx, b, grace, b.sessions > 0); err != nil {
		d.Log.Info("services did not stop when asked", "site", id, "error", err)
	} else if b.sessions > 0 {
		return nil
	}
	if err := d.kill(ctx, c); err != nil { // asked politely or not: now it ends
		return fmt.Errorf("stop %s: %w", id, err)
	}
	return nil
}

// stopServices asks init to end the services; with sweep also every program but Files sessions.
func (d *Driver) stopServices(ctx context.Context, b *box, grace time.Duration, sweep bool) error {
	if b.group.frozen() {
		if err := b.group.freeze(false); err != nil {
			return err
		}
	}
	f := fields{"stop", strconv.FormatInt(grace.Milliseconds(), 10), "0"}
	if sweep {
		f[2] = "1"
	}
	ctx, cancel := context.WithTimeout(ctx, grace+3*time.Second)
	defer cancel()
	if _, err := ask(ctx, b.dir, f); err != nil {
		return err
	}
	b.state.Running, b.state.StartedAt = false, time.Time{}
	return b.save()
}

// Freeze stops services and programs where they stand; init and Files sessions go on.
func (d *Driver) Freeze(_ context.Context, id string) error { return d.freeze(id, true) }

// Thaw lets them go on.
func (d *Driver) Thaw(_ context.Context, id string) error { return d.freeze(id, false) }

func (d *Driver) freeze(id string, on bool) error {
	c, err := d.find(id)
	if err != nil {
		return err
	}
	defer d.leave(c)
	b := c.box
	if b == nil || !b.running() || !b.alive() {
		return fmt.Errorf("freeze or thaw %s: %w", id, runtime.ErrNotRunning)
	}
	return b.group.freeze(on)
}

// SetLimits applies what the kernel can change at once and remembers all of it. Inodes follow the disk.
func (d *Driver) SetLimits(ctx context.Context, id string, l runtime.Limits) error {
	c, err := d.find(id)
	if err != nil {
		return err
	}
	defer d.leave(c)
	if err := checkLimits(l); err != nil {
		return err
	}
	r, old := c.record, c.record.Spec.Limits
	l = withDefaults(l)
	if l.Disk, l.Inodes = max(l.Disk, old.Disk), old.Inodes; l.Disk > old.Disk {
		if err := d.growImage(ctx, c, l.Disk); err != nil {
			return fmt.Errorf("grow disk of %s: %w", id, err)
		}
	}
	r.Spec.Limits = l
	if err := d.writeRecord(d.siteDir(id), r); err != nil {
		return err
	}
	d.mu.Lock()
	c.record = r
	d.mu.Unlock()
	if c.box != nil && c.box.alive() {
		if err := d.limitLive(ctx, c.box, l); err != nil {
			return fmt.Errorf("limit %s: %w", id, err)
		}
	}
	return nil
}
