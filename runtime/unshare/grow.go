package unshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// growImage enlarges an image, and the file system in it if that is mounted; else the next mount does.
// A crash in between leaves a longer file, which is harmless. The caller holds c.mu.
func (d *Driver) growImage(ctx context.Context, c *container, size int64) error {
	d.mu.Lock()
	left, err := d.available()
	d.mu.Unlock()
	if more := size - c.record.Spec.Limits.Disk; err != nil {
		return err
	} else if left < more {
		return fmt.Errorf("%w: %d bytes more wanted, %d may be promised", runtime.ErrNoSpace, more, left)
	}
	if err := d.step(ctx, "grow image"); err != nil {
		return err
	}
	if err := lengthen(d.image(c.record.Spec.ID), size); err != nil {
		return err
	}
	if c.box == nil || !c.box.alive() {
		return nil
	}
	device, err := d.loopOf(c.record.Spec.ID)
	if err != nil {
		return err
	}
	if err := growDevice(device, size); err != nil { // needs CAP_SYS_RESOURCE, which a container as host may not have
		d.Log.Warn("disk grows at the next start only", "site", c.record.Spec.ID, "error", err)
	}
	return nil
}

// lengthen makes an image longer and takes the room for it. After an error it is as long as before.
func lengthen(path string, size int64) error {
	image, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = image.Close() }()
	was, err := image.Stat()
	if err != nil {
		return err
	}
	if err := image.Truncate(size); err != nil {
		return err
	}
	if err := takeRoom(image, size); err != nil {
		return errors.Join(err, image.Truncate(was.Size()))
	}
	return nil
}

// loopOf finds the loop device that carries our label for the id.
func (d *Driver) loopOf(id string) (string, error) {
	for device, label := range loops() {
		if label == d.Instance+":"+id {
			return device, nil
		}
	}
	return "", fmt.Errorf("no loop device of %s", id)
}

// loops are the attached loop devices with their labels.
func loops() map[string]string {
	found := map[string]string{}
	used, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, path := range used {
		device := filepath.Join("/dev", strings.Split(path, "/")[3])
		if label := loopLabel(device); label != "" {
			found[device] = label
		}
	}
	return found
}

// loopLabel is "" for a device that is not attached, or that nobody labelled.
func loopLabel(device string) string {
	f, err := os.Open(device)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	s, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if err != nil {
		return ""
	}
	return unix.ByteSliceToString(s.File_name[:])
}

// growDevice tells the loop device, then the file system. A second mount of the same device is the same file system.
func growDevice(device string, size int64) error {
	loop, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_CAPACITY, 0)
	if err = errors.Join(err, loop.Close()); err != nil {
		return fmt.Errorf("grow loop device: %w", err)
	}
	m, err := mountImage(device)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(m) }()
	return growMounted(m, size)
}

// growMounted makes the file system fill its grown image, while it is mounted.
func growMounted(mount int, size int64) error {
	root, err := unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(root) }()
	return ioctlResize(root, uint64(size/4096))
}
