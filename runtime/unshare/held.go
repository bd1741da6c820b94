package unshare

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/unshare/stage"
)

// A limit that belongs to a mount of the box is changed by the mount's own descriptor, which its init has held since the
// stage made it. No name of the tenant's tree is looked up (RULE NS): root inside may have put anything over /tmp, and
// gets at neither the descriptor nor init. It outlives us with the box (RULE APART).

// held opens a descriptor of the box's init anew, by its number there.
func (b *box) held(number, flags int) (*os.File, error) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/%d", b.state.PID, number), flags, 0)
	if err != nil {
		return nil, fmt.Errorf("open what init holds: %w", err)
	}
	if !signalled(b.pidfd, 0) { // else the number could be somebody else's by now
		return nil, errors.Join(fmt.Errorf("open what init holds: %w", os.ErrProcessDone), f.Close())
	}
	return f, nil
}

const pathOnly = unix.O_PATH | unix.O_DIRECTORY

// scratch are the tmpfs of a box.
var scratch = map[string]int{"/tmp": stage.Tmp, "/run": stage.Run, "/dev/shm": stage.Shm}

// limitTmp changes the size of each tmpfs.
func (b *box) limitTmp(bytes int64) error {
	var errs []error
	for name, number := range scratch {
		if err := b.resizeTmp(number, bytes); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// resizeTmp sets the size of one. One that holds more already is closed to more of it: the kernel takes no smaller size
// than what is in use.
func (b *box) resizeTmp(number int, bytes int64) error {
	m, err := b.held(number, pathOnly)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	for range 10 { // the tenant may fill it in the meantime
		used, _, err := tmpRoom(m)
		if err != nil {
			return err
		}
		err = reconfigure(m, "size="+strconv.FormatInt(max(bytes, used), 10))
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return errors.New("it fills faster than it can be limited")
}

// tmpRoom is what a tmpfs holds, and its size.
func tmpRoom(m *os.File) (used, size int64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(m.Fd()), &st); err != nil {
		return 0, 0, err
	}
	if st.Type != unix.TMPFS_MAGIC {
		return 0, 0, errors.New("not a tmpfs")
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// limitTerminals changes how many pseudo-terminals there may be. first is the host's number of the box's root: it is we
// who name the group.
func (b *box) limitTerminals(most, first int) error {
	m, err := b.held(stage.Terminals, pathOnly)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return reconfigure(m, stage.PTS(first+stage.TTYGroup, most)...)
}

// terminals counts those that are open.
func (b *box) terminals() (int, error) {
	m, err := b.held(stage.Terminals, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return 0, err
	}
	defer func() { _ = m.Close() }()
	names, err := m.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	return len(names) - 1, nil // one is ptmx
}

// reconfigure changes options of the file system that m is the root of.
func reconfigure(m *os.File, options ...string) error {
	fs, err := unix.Fspick(int(m.Fd()), "", unix.FSPICK_EMPTY_PATH|unix.FSPICK_CLOEXEC)
	if err != nil {
		return fmt.Errorf("pick file system: %w", err)
	}
	defer func() { _ = unix.Close(fs) }()
	for _, o := range options {
		if err := stage.Configure(fs, o); err != nil {
			return fmt.Errorf("option %s: %w", o, err)
		}
	}
	return unix.FsconfigReconfigure(fs)
}

// useHeld reads how full the box's own mounts are.
func (b *box) useHeld(u *runtime.Usage) (err error) {
	if u.Terminals, err = b.terminals(); err != nil {
		return fmt.Errorf("count terminals of %s: %w", b.id, err)
	}
	for name, number := range scratch {
		m, err := b.held(number, pathOnly)
		if err != nil {
			return err
		}
		used, _, err := tmpRoom(m)
		if err = errors.Join(err, m.Close()); err != nil {
			return fmt.Errorf("usage of %s of %s: %w", name, b.id, err)
		}
		u.Tmp = max(u.Tmp, used)
	}
	return nil
}
