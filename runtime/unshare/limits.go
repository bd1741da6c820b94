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
	"petitpont/runtime/unshare/stage"
)

// limitLive holds a box that stands to new limits. The number of terminals waits for the next start: the kernel forgets
// everything else about a devpts when it changes that.
func (d *Driver) limitLive(ctx context.Context, b *box, l runtime.Limits) error {
	errs := []error{b.group.limit(l), d.throttleLive(b, l), b.limitFiles(l.Files)}
	for what, err := range map[string]error{"inotify": b.limitWatches(ctx, l.Watches), "tmpfs": b.limitTmp(l.Tmp)} {
		if err != nil { // both are held by the memory limit anyway
			d.Log.Warn("limit waits for the next start", "site", b.id, "limit", what, "error", err)
		}
	}
	return errors.Join(errs...)
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

// limitFiles tells every process, again and again until none is left that was forked in the meantime. More than a process
// was born with takes CAP_SYS_RESOURCE, which a host that is a container itself may not have: that waits for the next start.
func (b *box) limitFiles(most int) error {
	want := unix.Rlimit{Cur: uint64(most), Max: uint64(most)}
	for range 100 {
		changed := false
		for _, pid := range b.group.procs() {
			var had unix.Rlimit
			err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &had)
			if err == nil && had == want || errors.Is(err, unix.ESRCH) {
				continue
			}
			if err == nil {
				err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &want, nil)
			}
			if errors.Is(err, unix.EPERM) && want.Max > had.Max {
				continue
			}
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("limit open files: %w", err)
			}
			changed = true
		}
		if !changed {
			return nil
		}
	}
	return errors.New("limit open files: new processes come faster than they can be told")
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

// limitTmp changes the size of the box's tmpfs. They are mounts of ours, in places that the tenant can neither move nor
// replace, and nothing below them is looked at (RULE NS).
func (b *box) limitTmp(bytes int64) error {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", b.state.PID), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(root) }()
	if !signalled(b.pidfd, 0) { // else the number could be somebody else's by now
		return os.ErrProcessDone
	}
	var errs []error
	for _, name := range []string{"tmp", "run", "dev/shm"} {
		if err := resize(root, name, bytes); err != nil {
			errs = append(errs, fmt.Errorf("/%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func resize(root int, name string, bytes int64) error {
	at, err := unix.Openat2(root, name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_BENEATH,
	})
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(at) }()
	var st unix.Statfs_t
	if err := unix.Fstatfs(at, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		return fmt.Errorf("not a tmpfs: %w", errors.Join(err))
	}
	fs, err := unix.Fspick(at, "", unix.FSPICK_EMPTY_PATH|unix.FSPICK_CLOEXEC)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fs) }()
	if err := unix.FsconfigSetString(fs, "size", strconv.FormatInt(bytes, 10)); err != nil {
		return err
	}
	return unix.FsconfigReconfigure(fs)
}
