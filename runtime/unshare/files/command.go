package files

import (
	"errors"
	"os"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"
)

// Filecmd changes names and attributes.
func (h *handlers) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Setstat":
		return h.setstat(r)
	case "Rename":
		return explain(rename(r.Filepath, r.Target))
	case "Mkdir":
		return explain(unix.Mkdir(r.Filepath, 0o777))
	case "Rmdir":
		return explain(unix.Rmdir(r.Filepath))
	case "Remove":
		return explain(unix.Unlink(r.Filepath))
	case "Symlink": // here Filepath is the text of the link, as the client wrote it
		return explain(unix.Symlink(r.Filepath, r.Target))
	case "Link":
		return explain(unix.Linkat(unix.AT_FDCWD, r.Filepath, unix.AT_FDCWD, r.Target, 0))
	}
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename replaces what is there.
func (h *handlers) PosixRename(r *sftp.Request) error {
	err := unix.Rename(r.Filepath, r.Target)
	if errors.Is(err, unix.EXDEV) { // a folder of the template cannot move: its contents are on another layer
		return errBuiltIn
	}
	return explain(err)
}

// rename refuses to replace anything, which the protocol wants of a plain RENAME.
func rename(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EXDEV) {
		return errBuiltIn
	}
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// The file system does not know the flag (or from lies above to, which the call below says as well).
	if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(errExists, err)
	}
	return unix.Rename(from, to)
}

// setstat applies size, mode and times, in this order, as OpenSSH does. It opens nothing, so that no kind of file
// makes it wait.
func (h *handlers) setstat(r *sftp.Request) error {
	set, attrs := r.AttrFlags(), r.Attributes()
	if attrs == nil {
		return sftp.ErrSSHFxBadMessage
	}
	if set.UidGid && (attrs.UID != uid || attrs.GID != uid) {
		return errOwner
	}
	where := target{path: r.Filepath}
	if _, err := os.Stat(r.Filepath); errors.Is(err, os.ErrNotExist) {
		where.file = h.renamed(r.Filepath)
	}
	if set.Size {
		if err := where.truncate(int64(attrs.Size)); err != nil {
			return explain(err)
		}
	}
	// Nobody means mode 000: clients that know none send it. setuid does nothing on a site's disk.
	if mode := attrs.Mode & 0o3777; set.Permissions && mode != 0 {
		if err := where.chmod(mode); err != nil {
			return explain(err)
		}
	}
	if set.Acmodtime {
		return explain(where.times(time.Unix(int64(attrs.Atime), 0), time.Unix(int64(attrs.Mtime), 0)))
	}
	return nil
}

// target is a path, or an open file that has lost it.
type target struct {
	path string
	file *file
}

func (t target) truncate(size int64) error {
	if t.file == nil {
		return unix.Truncate(t.path, size)
	}
	return t.file.with(func(fd int) error { return unix.Ftruncate(fd, size) })
}

func (t target) chmod(mode uint32) error {
	if t.file == nil {
		return unix.Chmod(t.path, mode)
	}
	return t.file.with(func(fd int) error { return unix.Fchmod(fd, mode) })
}

func (t target) times(access, change time.Time) error {
	if t.file == nil {
		ts := []unix.Timespec{unix.NsecToTimespec(access.UnixNano()), unix.NsecToTimespec(change.UnixNano())}
		return unix.UtimesNanoAt(unix.AT_FDCWD, t.path, ts, 0)
	}
	tv := []unix.Timeval{unix.NsecToTimeval(access.UnixNano()), unix.NsecToTimeval(change.UnixNano())}
	return t.file.with(func(fd int) error { return unix.Futimes(fd, tv) })
}

// with lends the descriptor while it cannot be closed.
func (f *file) with(do func(fd int) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return unix.EBADF
	}
	return do(f.fd)
}

// StatVFS tells how full the site's own disk is: its size is the quota.
func (h *handlers) StatVFS(r *sftp.Request) (*sftp.StatVFS, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(r.Filepath, &s); err != nil {
		return nil, explain(err)
	}
	return &sftp.StatVFS{
		Bsize: uint64(s.Bsize), Frsize: uint64(s.Frsize), Blocks: s.Blocks, Bfree: s.Bfree, Bavail: s.Bavail,
		Files: s.Files, Ffree: s.Ffree, Favail: s.Ffree, Flag: uint64(s.Flags) & (unix.ST_RDONLY | unix.ST_NOSUID),
		Namemax: uint64(s.Namelen),
	}, nil
}
