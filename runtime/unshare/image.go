package unshare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/unshare/stage"
)

// blanks keeps one empty image per size: mkfs takes 30 ms, cloning what it made takes one or two.
type blanks struct {
	dir string
	mu  sync.Mutex
}

// sweep removes what a killed mkfs left.
func (b *blanks) sweep() error {
	for _, pattern := range []string{".skeleton-*", "*.new"} {
		left, err := filepath.Glob(filepath.Join(b.dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range left {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// clone makes path a new, empty file system with that much room, all of it taken from the host's volume now (RULE
// LEDGER): whoever fills that volume later, the site can write what it was promised. The bytes are on the disk when it
// returns. ErrNoSpace if the volume has less.
func (b *blanks) clone(ctx context.Context, path string, l runtime.Limits) error {
	from, err := b.open(ctx, l)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(copySparse(to, from, l.Disk), takeRoom(to, l.Disk), to.Sync(), to.Close())
}

// takeRoom gives every hole of an image its blocks on the host's volume, unwritten. That takes milliseconds, whatever
// the size. Volumes that cannot do it, as those that never write a block twice, leave the promise to the ledger alone.
func takeRoom(image *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(image.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP):
			return nil
		case errors.Is(err, unix.ENOSPC):
			return fmt.Errorf("%w: the volume has no %d bytes", runtime.ErrNoSpace, size)
		}
		return err
	}
}

// maxBlanks is how many sizes are kept: the plans have a few, and a caller that asks for ever new ones (RULE SPLIT) must
// not fill the host's volume with what no ledger counts.
const maxBlanks = 16

// open returns the blank image of a size, made now if there is none.
func (b *blanks) open(ctx context.Context, l runtime.Limits) (*os.File, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	path, err := b.get(ctx, l)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// get makes room and the image. The caller holds b.mu.
func (b *blanks) get(ctx context.Context, l runtime.Limits) (string, error) {
	path := filepath.Join(b.dir, fmt.Sprintf("%d-%d.img", l.Disk, l.Inodes))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := b.forget(); err != nil {
		return "", fmt.Errorf("forget blank images: %w", err)
	}
	skeleton, err := os.MkdirTemp(b.dir, ".skeleton-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(skeleton) }()
	if err := makeSkeleton(skeleton); err != nil {
		return "", fmt.Errorf("make skeleton: %w", err)
	}
	temp := path + ".new"
	if err := mkfs(ctx, temp, skeleton, l); err != nil {
		return "", errors.Join(err, removeIfThere(temp))
	}
	return path, os.Rename(temp, path)
}

// forget removes all blank images when there are too many: those that are still wanted are made again in 30 ms.
func (b *blanks) forget() error {
	all, err := filepath.Glob(filepath.Join(b.dir, "*.img"))
	if err != nil || len(all) < maxBlanks {
		return err
	}
	for _, path := range all {
		if err := removeIfThere(path); err != nil {
			return err
		}
	}
	return nil
}

// makeSkeleton holds the two folders of an overlay, and some room in reserve. They belong to root, unshifted: the
// mount's idmap makes that the site's own root.
func makeSkeleton(dir string) error {
	spare := filepath.Join(dir, stage.SpareDir)
	errs := []error{os.Chmod(dir, 0o755), os.Chown(dir, 0, 0)}
	for _, name := range []string{"upper", "work", stage.SpareDir} {
		errs = append(errs, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	for i := range stage.SpareFiles {
		errs = append(errs, os.WriteFile(filepath.Join(spare, strconv.Itoa(i)), stage.SpareContent(), 0o600))
	}
	return errors.Join(errs...)
}

// mkfs writes as little as it can: a small journal, nothing reserved, and no background zeroing later, because a
// sparse file reads as zeros already.
func mkfs(ctx context.Context, path, skeleton string, l runtime.Limits) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(path, l.Disk); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4",
		"-N", fmt.Sprint(l.Inodes), "-E", "lazy_itable_init=1,lazy_journal_init=1,assume_storage_prezeroed=1",
		"-d", skeleton, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	return nil
}

// copySparse copies what is not a hole. Blocks are never shared with the blank image, on volumes that could: to write to
// a shared one takes a new one, and there might be none.
func copySparse(to, from *os.File, size int64) error {
	if err := to.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); ; {
		data, err := from.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		hole, err := from.Seek(data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if _, err := from.Seek(data, io.SeekStart); err != nil {
			return err
		}
		if _, err := to.Seek(data, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(to, from, hole-data); err != nil {
			return err
		}
		at = hole
	}
}

// available is what may still be promised. The caller holds d.mu.
func (d *Driver) available() (int64, error) {
	l, err := d.ledger()
	return l.Free, err
}

// held is what an image, finished or half-made, has of the volume already.
func (d *Driver) held(id string) int64 {
	var f unix.Stat_t
	for _, path := range []string{d.image(id), filepath.Join(d.newDir(id), imageName)} {
		if unix.Stat(path, &f) == nil {
			return f.Blocks * 512
		}
	}
	return 0
}

// takeRooms gives images that an earlier version made with holes the room they were promised.
func (d *Driver) takeRooms() {
	for id, c := range d.sites {
		size := c.record.Spec.Limits.Disk
		if d.held(id) >= size {
			continue
		}
		if err := lengthen(d.image(id), size); err != nil {
			d.Log.Warn("a site's disk is promised but not taken: a full volume would harm it", "site", id, "error", err)
		}
	}
}
