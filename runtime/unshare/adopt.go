package unshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// adopt finds the boxes a previous process left. A box whose PID is another process by now is dead; what it left
// behind is removed, and so is everything with our label that belongs to no box (RULE OWN, RULE RECONCILE).
func (d *Driver) adopt() error {
	entries, err := os.ReadDir(d.boxesDir())
	if err != nil {
		return fmt.Errorf("read boxes: %w", err)
	}
	for _, e := range entries {
		if err := d.adoptOne(e.Name()); err != nil {
			d.Log.Info("box is not adopted", "site", e.Name(), "reason", err)
			if err := os.RemoveAll(filepath.Join(d.boxesDir(), e.Name())); err != nil {
				return fmt.Errorf("remove dead box: %w", err)
			}
		}
	}
	return errors.Join(d.sweepGroups(), d.sweepLinks())
}

func (d *Driver) adoptOne(id string) error {
	c, ok := d.sites[id]
	if !ok {
		return errors.New("no such site")
	}
	b := &box{id: id, dir: d.boxDir(id), group: d.groups.open(id), dead: make(chan struct{})}
	if err := readJSON(filepath.Join(b.dir, "state.json"), &b.state); err != nil {
		return err
	}
	if err := b.grasp(); err != nil {
		return err
	}
	b.ooms = b.group.oomKills()
	c.box = b
	d.watch(c, b)
	c.mu.Lock()
	defer d.leave(c)
	if !b.running() { // it stood for Files sessions, which ended with the process that relayed them
		return d.kill(d.closing, c)
	}
	d.Log.Info("container adopted", "site", id, "pid", b.state.PID)
	return nil
}

// grasp takes hold of init by a pidfd, then looks whether it is still the process that was meant.
func (b *box) grasp() error {
	fd, err := unix.PidfdOpen(b.state.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("init has gone: %w", err)
	}
	b.pidfd = os.NewFile(uintptr(fd), "init")
	born, err := birth(b.state.PID)
	if err == nil && born != b.state.Born {
		err = errors.New("its number belongs to another process")
	}
	if err == nil {
		// init's own copy of the rings; the descriptor's number is part of its protocol
		b.log, err = os.Open(fmt.Sprintf("/proc/%d/fd/4", b.state.PID))
	}
	if err != nil {
		return errors.Join(err, b.pidfd.Close())
	}
	return nil
}

// sweepGroups kills what stands in cgroups of ours without being adopted: boxes that died half-made.
func (d *Driver) sweepGroups() error {
	ids, err := d.groups.list()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if c, ok := d.sites[id]; ok && c.box != nil {
			continue
		}
		d.Log.Info("leftover cgroup removed", "site", id)
		if err := empty(d.groups.open(id)); err != nil {
			return fmt.Errorf("leftovers of %s: %w", id, err)
		}
	}
	return nil
}

func empty(g group) error {
	if g.frozen() {
		_ = g.freeze(false)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for {
		left := g.procs()
		for _, pid := range left {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if len(left) == 0 {
			return g.remove()
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("%d processes do not end: %w", len(left), err)
		}
	}
}

func (d *Driver) sweepLinks() error {
	ids, err := d.Network.List()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for _, id := range ids {
		if c, ok := d.sites[id]; ok && c.box != nil {
			continue
		}
		if err := d.detach(id); err != nil {
			return err
		}
	}
	return nil
}
