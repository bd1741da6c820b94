package stage

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// An overlay needs a free inode and a block of the upper layer each time it is mounted; without them it turns silently
// read-only, and a site whose owner has filled the disk could never start again to be tidied up. So the image keeps
// some in reserve, beside the layer, where the tenant does not reach: a few small files that are given up then.
const (
	SpareDir   = "spare"
	SpareFiles = 8
	SpareBytes = 8 << 10 // of each, not zeros: those would take no room
)

// SpareContent is what fills a spare file.
func SpareContent() []byte { return bytes.Repeat([]byte{0xff}, SpareBytes) }

// writable makes the overlay, and makes it again after giving up the spare files if the disk was too full for it.
func writable(image, attrs int) (root int, err error) {
	root, err = joined(attrs)
	if !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.ENOSPC) {
		return root, err
	}
	if err := giveUp(image); err != nil {
		return -1, fmt.Errorf("give up spare room: %w", err)
	}
	return joined(attrs)
}

func joined(attrs int) (int, error) {
	root, err := fresh("overlay", attrs, "lowerdir="+bench+"/template", "upperdir="+bench+"/image/upper",
		"workdir="+bench+"/image/work", "userxattr")
	if err != nil {
		return -1, err
	}
	if err := probe(root); err != nil {
		_ = unix.Close(root)
		return -1, err
	}
	return root, nil
}

func giveUp(image int) error {
	dir, err := open(image, SpareDir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }()
	for i := range SpareFiles {
		if err := unix.Unlinkat(dir, strconv.Itoa(i), 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return unix.Syncfs(dir) // freed blocks can be used once the journal has them
}

// refill takes spare room again, if it was given up and there is some now.
func refill(image int) {
	dir, err := open(image, SpareDir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(dir) }()
	for i := range SpareFiles {
		fd, err := unix.Openat(dir, strconv.Itoa(i), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return // the first one is there, or nothing is to be had
		}
		err = unix.Fallocate(fd, 0, 0, SpareBytes)
		_ = unix.Close(fd)
		if err != nil {
			_ = unix.Unlinkat(dir, strconv.Itoa(i), 0)
			return
		}
	}
}

// probe writes once: an overlay whose upper layer does not fit turns silently read-only. A full disk is none of that.
func probe(root int) error {
	const name = ".petitpont-probe"
	err := unix.Mkdirat(root, name, 0)
	if err == nil || errors.Is(err, unix.EEXIST) {
		err = unix.Unlinkat(root, name, unix.AT_REMOVEDIR)
	}
	if err == nil || errors.Is(err, unix.ENOSPC) {
		return nil
	}
	return fmt.Errorf("write to the site's disk: %w", err)
}
