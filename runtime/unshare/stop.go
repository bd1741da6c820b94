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
