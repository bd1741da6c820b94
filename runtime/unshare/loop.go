package unshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// An image is attached to at most one loop device: whoever attaches it holds a lock on the very open file that the
// kernel's loop device keeps. So the lock ends when the loop device lets go, not when we do, and also if we die.

// lockImage waits until no loop device uses the image, and takes it.
func lockImage(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	for wait := 200 * time.Microsecond; ; wait = min(2*wait, 20*time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		if err := pause(ctx, wait); err != nil {
			return nil, errors.Join(fmt.Errorf("image is still in use: %w", err), f.Close())
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attachImage makes the image a mount that is nowhere in the host's tree. Everything goes when the mount's last user
// does: the loop device clears itself. The image carries only what our own kernel wrote (RULE IMAGE).
func attachImage(ctx context.Context, path, label string, size int64) (mount int, err error) {
	image, err := lockImage(ctx, path)
	if err != nil {
		return -1, err
	}
	defer func() { _ = image.Close() }()
	sb, err := readSuperblock(image)
	if err != nil {
		return -1, err
	}
	if sb.broken() {
		if err := tool(ctx, "e2fsck", "-p", path); err != nil {
			return -1, err
		}
	}
	if sb.bytes() < size { // grown while asleep, or the kernel would not do it awake
		if err := tool(ctx, "resize2fs", "-f", path); err != nil {
			return -1, err
		}
	}
	loop, err := attachLoop(image, label)
	if err != nil {
		return -1, fmt.Errorf("attach loop: %w", err)
	}
	defer func() { _ = loop.Close() }()
	return mountImage(loop.Name())
}

// attachLoop finds a free loop device; another process may be quicker, then it takes the next.
func attachLoop(image *os.File, label string) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = control.Close() }()
	for range 64 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		c := unix.LoopConfig{Fd: uint32(image.Fd()), Size: 4096}
		c.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
		copy(c.Info.File_name[:], label)
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &c)
		if err == nil {
			return loop, nil
		}
		_ = loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, err
		}
	}
	return nil, unix.EBUSY
}

// mountImage mounts for nobody yet: no device nodes, no setuid, read-only at the first sign of damage (RULE IMAGE).
func mountImage(device string) (int, error) {
	fs, err := unix.Fsopen("ext4", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open ext4: %w", err)
	}
	defer func() { _ = unix.Close(fs) }()
	for key, value := range map[string]string{"source": device, "errors": "remount-ro"} {
		if err := unix.FsconfigSetString(fs, key, value); err != nil {
			return -1, fmt.Errorf("ext4 option %s: %w", key, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("mount image: %w", err)
	}
	m, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOATIME)
	if err != nil {
		return -1, fmt.Errorf("mount image: %w", err)
	}
	return m, nil
}

// tool runs one of e2fsprogs over an image that is not mounted, with bounds on time.
func tool(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && name == "e2fsck" && exit.ExitCode() <= 1 { // 1: errors were corrected
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
