package unshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/unshare/network"
	"petitpont/runtime/unshare/stage"
)

// SetLimits applies what the kernel can change at once and remembers all of it. After an error it holds the site to its
// old limits; only a disk that has grown stays so, unused until it is asked for again.
func (d *Driver) SetLimits(ctx context.Context, id string, l runtime.Limits) error {
	c, err := d.find(id)
	if err != nil {
		return err
	}
	defer d.leave(c)
	if err := checkLimits(l); err != nil {
		return err
	}
	old := c.record.Spec.Limits
	if l = withDefaults(l); l.Disk > old.Disk {
		if err := d.growImage(ctx, c, l.Disk); err != nil {
			return fmt.Errorf("grow disk of %s: %w", id, err)
		}
	}
	l.Disk = max(l.Disk, old.Disk)
	err = d.limitLive(ctx, c, l)
	if err == nil {
		err = d.writeLimits(ctx, c, l)
	}
	if err != nil {
		return fmt.Errorf("limit %s: %w", id, errors.Join(err, d.limitLive(context.WithoutCancel(ctx), c, withDefaults(old))))
	}
	return nil
}

// writeLimits remembers new limits, once the disk holds the site to its number of files. That takes a while: the record
// says so before, for a process that finds it half done.
func (d *Driver) writeLimits(ctx context.Context, c *container, l runtime.Limits) error {
	r := c.record
	write := func(held, ballast int64) error {
		r.Spec.Limits, r.Spec.Limits.Inodes, r.Ballast, r.Fitting = l, held, ballast, false
		return d.replaceRecord(c, r)
	}
	if l.Inodes == r.Spec.Limits.Inodes && !r.Fitting {
		return write(l.Inodes, r.Ballast)
	}
	r.Fitting = true
	if err := d.replaceRecord(c, r); err != nil {
		return err
	}
	if err := d.fitInodes(ctx, c, l, write); err != nil {
		return fmt.Errorf("fit inodes: %w", err)
	}
	return nil
}

func (d *Driver) replaceRecord(c *container, r record) error {
	if err := d.writeRecord(d.siteDir(r.Spec.ID), r); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c.record = r
	return nil
}

// limitLive holds a box, if one stands, to new limits.
func (d *Driver) limitLive(ctx context.Context, c *container, l runtime.Limits) error {
	b := c.box
	if b == nil || !b.alive() {
		return nil
	}
	errs := []error{b.group.limit(l), d.throttleLive(b, l), d.limitFiles(b, l.Files), d.limitConnections(c.record, l)}
	for what, err := range map[string]error{
		"inotify": b.limitWatches(ctx, l.Watches), "tmpfs": b.limitTmp(l.Tmp),
		"terminals": b.limitTerminals(l.Terminals, int(d.firstUID(c.record.Spec.Slot))),
	} {
		if err != nil { // the limits of memory and processes hold what these would
			d.Log.Warn("limit waits for the next start", "site", b.id, "limit", what, "error", err)
		}
	}
	return errors.Join(errs...)
}

// limitConnections tells the network before the site is attached, and again while it runs.
func (d *Driver) limitConnections(r record, l runtime.Limits) error {
	err := d.Network.Limit(r.Spec.Segment, r.Spec.Slot, network.Budget{Rate: l.Rate, Connections: l.Connections})
	if err != nil {
		return fmt.Errorf("limit connections: %w", err)
	}
	return nil
}

// throttle bounds what a group does with the device under an image's mount.
func throttle(g group, mount int, l runtime.Limits) error {
	var st unix.Stat_t
	if err := unix.Fstat(mount, &st); err != nil {
		return fmt.Errorf("find the disk's device: %w", err)
	}
	return g.throttle(st.Dev, withDefaults(l).IO)
}

func (d *Driver) throttleLive(b *box, l runtime.Limits) error {
	device, err := d.loopOf(b.id)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return fmt.Errorf("find the disk's device: %w", err)
	}
	return b.group.throttle(st.Rdev, l.IO)
}

// limitFiles tells every process, again and again until none is left that was forked in the meantime. Init goes first: what
// it starts from then on is born with the new number. To raise what a process was born with takes CAP_SYS_RESOURCE, which
// a host that is a container itself may not have: there, what already runs keeps its number until it is started again.
func (d *Driver) limitFiles(b *box, most int) error {
	if err := b.limitBorn(uint64(most)); err != nil {
		return fmt.Errorf("limit open files: %w", err)
	}
	want, keep := unix.Rlimit{Cur: uint64(most), Max: uint64(most)}, map[int]bool{b.state.PID: true}
	for range 100 {
		changed := false
		for _, pid := range b.group.procs() {
			if keep[pid] {
				continue
			}
			told, err := limitOne(pid, want)
			if err != nil {
				return fmt.Errorf("limit open files: %w", err)
			}
			keep[pid] = told == refused
			changed = changed || told == changedNow
		}
		if !changed {
			d.noteKept(b, keep)
			return nil
		}
	}
	return errors.New("limit open files: new processes come faster than they can be told")
}

func (d *Driver) noteKept(b *box, keep map[int]bool) {
	n := 0
	for _, kept := range keep {
		if kept {
			n++
		}
	}
	if n > 1 {
		d.Log.Info("more open files wait for the next start of what runs", "site", b.id, "processes", n-1)
	}
}

// limitBorn sets what init's children are born with: its soft limit. Its hard one stays as it came.
func (b *box) limitBorn(most uint64) error {
	var had unix.Rlimit
	if err := unix.Prlimit(b.state.PID, unix.RLIMIT_NOFILE, nil, &had); err != nil {
		return err
	}
	if !signalled(b.pidfd, 0) { // else the number could be somebody else's by now
		return os.ErrProcessDone
	}
	had.Cur = min(most, had.Max)
	return unix.Prlimit(b.state.PID, unix.RLIMIT_NOFILE, &had, nil)
}

// What came of telling a process its limit.
type told int

const (
	asItWas told = iota
	changedNow
	refused // more than it was born with
)

func limitOne(pid int, want unix.Rlimit) (told, error) {
	var had unix.Rlimit
	err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &had)
	if err == nil && had == want || errors.Is(err, unix.ESRCH) {
		return asItWas, nil
	}
	if err == nil {
		err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &want, nil)
	}
	switch {
	case errors.Is(err, unix.EPERM) && want.Max > had.Max:
		return refused, nil
	case errors.Is(err, unix.ESRCH):
		return asItWas, nil
	}
	return changedNow, err
}

// limitWatches writes a number of the box's own user namespace, which only somebody in it can: a host's program that has
// entered nothing else, and that nothing inside can see (RULE ENTER).
func (b *box) limitWatches(ctx context.Context, most int) error {
	users, err := b.namespace("user")
	if err != nil {
		return err
	}
	defer func() { _ = users.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "--user=/proc/self/fd/3", "tee", "/proc/sys/user/"+stage.Watches)
	cmd.ExtraFiles = []*os.File{users}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = in.Write([]byte(strconv.Itoa(most)))
	return errors.Join(err, in.Close(), cmd.Wait())
}
