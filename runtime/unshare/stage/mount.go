package stage

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	quiet = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	inert = quiet | unix.MOUNT_ATTR_NOEXEC
)

// fresh makes a new file system that is mounted nowhere yet. Options are key=value, or a flag.
func fresh(kind string, attrs int, options ...string) (int, error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open file system %s: %w", kind, err)
	}
	defer func() { _ = unix.Close(fs) }()
	for _, o := range options {
		if err := Configure(fs, o); err != nil {
			return -1, fmt.Errorf("%s: option %s: %w", kind, o, errors.Join(err, explain(fs)))
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("make %s: %w", kind, errors.Join(err, explain(fs)))
	}
	m, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attrs)
	if err != nil {
		return -1, fmt.Errorf("mount %s: %w", kind, errors.Join(err, explain(fs)))
	}
	return m, nil
}

// Configure sets an option of a file system that is being made or changed: key=value, or a flag.
func Configure(fs int, option string) error {
	if key, value, ok := strings.Cut(option, "="); ok {
		return unix.FsconfigSetString(fs, key, value)
	}
	return unix.FsconfigSetFlag(fs, option)
}

// explain is what the kernel has to say about the last failure, if anything.
func explain(fs int) error {
	buf := make([]byte, 512)
	if n, err := unix.Read(fs, buf); err == nil && n > 0 {
		return errors.New(strings.TrimSpace(string(buf[:n])))
	}
	return nil
}

// attach puts mount m onto name below dir, which is opened without following anything.
func attach(m, dir int, name string) error {
	at, err := open(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("open mount point %s: %w", name, err)
	}
	defer func() { _ = unix.Close(at) }()
	if err := move(m, at); err != nil {
		return fmt.Errorf("attach %s: %w", name, err)
	}
	return nil
}

func move(m, at int) error {
	return unix.MoveMount(m, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// copyOf clones the mount at name, to be attached a second time, with what is mounted below. In our own mounts there is
// nothing below; in the host's /proc, which a test leaves in, there may be, and a user namespace copies such all or not.
func copyOf(dir int, name string) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_SYMLINK_NOFOLLOW | unix.AT_RECURSIVE)
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	m, err := unix.OpenTree(dir, name, flags)
	if err != nil {
		return -1, fmt.Errorf("clone mount %s: %w", name, err)
	}
	return m, nil
}

func restrict(m int, attrs uint64) error {
	return unix.MountSetattr(m, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: attrs})
}

// open opens a name below dir. What a tenant may have put there is not followed and does not leave dir (SAFETY S4).
func open(dir int, name string, flags int) (int, error) {
	return unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_BENEATH,
	})
}

// folder makes name a real directory of dir and opens it. Mount points belong to us: where the tenant has put a
// symlink, a FIFO or a file instead, it is removed. That happens with the tenant's own rights, inside its own disk.
func folder(dir int, name string, mode uint32) (int, error) {
	for range 3 {
		fd, err := open(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		switch {
		case err == nil:
			return fd, nil
		case errors.Is(err, unix.ENOENT):
			err = unix.Mkdirat(dir, name, mode)
		case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
			err = unix.Unlinkat(dir, name, 0)
		}
		if err != nil {
			return -1, fmt.Errorf("mount point /%s: %w", name, err)
		}
	}
	return -1, fmt.Errorf("mount point /%s does not stay a directory", name)
}
