package unshare

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// How many files and folders a file system can hold is settled when it is made; it grows with the disk only. A lower limit
// is kept by ballast: empty files that hold the inodes the site shall not have, in a folder beside the layer of its
// own, where the tenant does not reach. So it is the kernel that says no, and no mount option, module or quota file is
// needed; giving some up raises the limit again. Only a limit that is lowered pays for it (some 50,000 files a second).
const (
	ballastDir = "ballast"
	// spareInodes stay free when a limit is lowered, so that the site can still start and be tidied up.
	spareInodes = 64
)

// fitInodes makes ballast for a site's new limit, and has the limit that holds written down with how much ballast that
// took: a site that already has more files than it shall have keeps its old limit. More than the disk can hold waits for a
// bigger disk. After an error, that of write as well, the ballast is what it was. The caller holds c.mu.
func (d *Driver) fitInodes(ctx context.Context, c *container, l runtime.Limits, write func(held, ballast int64) error) error {
	if err := d.step(ctx, "fit inodes"); err != nil {
		return err
	}
	b, err := d.reachBallast(ctx, c, l.Disk)
	if err != nil {
		return err
	}
	defer b.close()
	want := c.record.wantedBallast(l.Inodes, b.inodes, b.has)
	if want-b.has > b.free-spareInodes {
		d.Log.Info("site has too many files for its new limit, and keeps the old one", "site", c.record.Spec.ID, "limit", l.Inodes)
		return write(c.record.Spec.Limits.Inodes, b.has)
	}
	err = setBallast(ctx, b.dir, b.has, want)
	if err == nil {
		err = errors.Join(unix.Syncfs(b.dir), d.step(ctx, "write limits"))
	}
	if err == nil {
		err = write(l.Inodes, want)
	}
	if err != nil {
		return errors.Join(err, setBallast(context.WithoutCancel(ctx), b.dir, countBallast(b.dir), b.has))
	}
	return nil
}

// ballast is that of one image: its folder, and what the file system counts.
type ballast struct {
	dir               int
	has, inodes, free int64
}

func (b ballast) close() { _ = unix.Close(b.dir) }

func (d *Driver) reachBallast(ctx context.Context, c *container, size int64) (b ballast, err error) {
	image, err := d.reachImage(ctx, c, size)
	if err != nil {
		return b, err
	}
	defer func() { _ = unix.Close(image) }() // the folder keeps the mount
	if b.dir, err = openBallast(image); err != nil {
		return b, err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(b.dir, &st); err != nil {
		b.close()
		return b, fmt.Errorf("ask for inodes: %w", err)
	}
	b.has, b.inodes, b.free = countBallast(b.dir), int64(st.Files), int64(st.Ffree)
	return b, nil
}

// wantedBallast is how much holds a disk of so many inodes, and that has some, to a limit.
func (r record) wantedBallast(limit, inodes, has int64) int64 {
	want := max(inodes-limit, 0)
	switch old := r.Spec.Limits.Inodes; {
	case limit == old: // a change that was broken off is taken back
		return r.Ballast
	case limit > old: // what came with a bigger disk is not taken away by a raise
		return min(want, has)
	}
	return want
}

// reachImage is the root of a site's image, layer and all, as a mount of nobody's. A second mount of what a box has
// mounted is the same file system.
func (d *Driver) reachImage(ctx context.Context, c *container, size int64) (int, error) {
	id := c.record.Spec.ID
	if c.box == nil || !c.box.alive() {
		return attachImage(ctx, d.image(id), d.Instance+":"+id, size)
	}
	device, err := d.loopOf(id)
	if err != nil {
		return -1, err
	}
	image, err := mountImage(device)
	if err != nil {
		return -1, err
	}
	// Our mount keeps the device: had the box ended just before, it could be another site's by now.
	if label := loopLabel(device); label != d.Instance+":"+id {
		return -1, errors.Join(fmt.Errorf("%s has become %q", device, label), unix.Close(image))
	}
	return image, nil
}

func openBallast(image int) (int, error) {
	if err := unix.Mkdirat(image, ballastDir, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, fmt.Errorf("make ballast folder: %w", err)
	}
	dir, err := unix.Openat(image, ballastDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open ballast folder: %w", err)
	}
	return dir, nil
}

// countBallast finds the first number that is missing. They are made upwards and removed downwards, so there are no gaps.
func countBallast(dir int) int64 {
	there := func(n int64) bool {
		var st unix.Stat_t
		return unix.Fstatat(dir, ballastName(n), &st, unix.AT_SYMLINK_NOFOLLOW) == nil
	}
	low, high := int64(0), int64(1)
	for there(high - 1) {
		low, high = high, 2*high
	}
	for low < high-1 { // low are there, high are not
		if middle := (low + high) / 2; there(middle - 1) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func ballastName(n int64) string { return strconv.FormatInt(n, 36) }

// setBallast makes or removes files until there are want. What it has done by an error is where countBallast finds it.
func setBallast(ctx context.Context, dir int, has, want int64) error {
	for ; has < want; has++ {
		if err := errors.Join(ctx.Err(), unix.Mknodat(dir, ballastName(has), unix.S_IFREG, 0)); err != nil {
			return fmt.Errorf("add ballast: %w", err)
		}
	}
	for ; has > want; has-- {
		if err := errors.Join(ctx.Err(), unix.Unlinkat(dir, ballastName(has-1), 0)); err != nil {
			return fmt.Errorf("remove ballast: %w", err)
		}
	}
	return nil
}

// unload leaves the ballast out of a reading: it is none of the site's.
func unload(u *runtime.Usage, ballast int64) {
	u.Inodes, u.InodesMax = max(u.Inodes-ballast, 0), max(u.InodesMax-ballast, 0)
}
