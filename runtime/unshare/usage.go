package unshare

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Usage reads the kernel's counters. Of a sleeping site the disk's come from the image's own superblock.
func (d *Driver) Usage(_ context.Context, id string) (runtime.Usage, error) {
	c, err := d.find(id)
	if err != nil {
		return runtime.Usage{}, err
	}
	defer d.leave(c)
	l := withDefaults(c.record.Spec.Limits)
	u := runtime.Usage{MemoryMax: l.Memory, ProcsMax: l.Procs, FilesMax: l.Files, TerminalsMax: l.Terminals, TmpMax: l.Tmp}
	b := c.box
	if b == nil || !b.alive() {
		err := d.restingDisk(id, &u)
		unload(&u, c.record.Ballast)
		return u, err
	}
	if b.running() {
		g, err := b.group.usage()
		if err != nil {
			return u, fmt.Errorf("usage of %s: %w", id, err)
		}
		u.Memory, u.MemoryMax, u.Procs, u.ProcsMax, u.CPU = g.memory, g.memoryMax, g.procs, g.procsMax, g.cpu
		u.Files = mostFiles(b.group.procs())
		if err := b.useHeld(&u); err != nil {
			d.Log.Debug("usage is not whole", "site", id, "error", err) // a box of an earlier version holds less
		}
	}
	err = b.liveDisk(&u)
	unload(&u, c.record.Ballast)
	return u, err
}

// mostFiles is how many files the process has open that has most of them. Their names are nobody's business (RULE NS).
func mostFiles(pids []int) (most int) {
	for _, pid := range pids {
		most = max(most, openFiles(fmt.Sprintf("/proc/%d/fd", pid)))
	}
	return most
}

// openFiles counts the entries; since Linux 6.2 the kernel tells by the size of the folder.
func openFiles(dir string) int {
	st, err := os.Stat(dir)
	if err != nil {
		return 0 // it has just ended
	}
	if st.Size() > 0 {
		return int(st.Size())
	}
	n, err := countDir(dir, "")
	if err != nil {
		return 0
	}
	return n
}

// liveDisk asks the box's root, and resolves nothing below it (RULE NS).
func (b *box) liveDisk(u *runtime.Usage) error {
	var st unix.Statfs_t
	if err := unix.Statfs(fmt.Sprintf("/proc/%d/root", b.state.PID), &st); err != nil || !signalled(b.pidfd, 0) {
		return fmt.Errorf("ask for the disk of %s: %w", b.id, err)
	}
	u.DiskMax, u.Disk = int64(st.Blocks)*st.Bsize, int64(st.Blocks-st.Bfree)*st.Bsize
	u.InodesMax, u.Inodes = int64(st.Files), int64(st.Files-st.Ffree)
	return nil
}

func (d *Driver) restingDisk(id string, u *runtime.Usage) error {
	f, err := os.Open(d.image(id))
	if err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	defer func() { _ = f.Close() }()
	s, err := readSuperblock(f)
	if err != nil {
		return fmt.Errorf("usage of %s: %w", id, err)
	}
	u.Disk, u.DiskMax, u.Inodes, u.InodesMax = s.room()
	return nil
}
