package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"petitpont/runtime"
)

// Files serves SFTP on the container's home from this process, through an os.Root. Step: files.
func (d *Driver) Files(ctx context.Context, id string) (net.Conn, error) {
	b, err := d.box(id)
	if err != nil {
		return nil, err
	}
	if err := d.script.at(ctx, "files", id); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(b.home)
	if errors.Is(err, fs.ErrNotExist) { // destroyed meanwhile
		return nil, fmt.Errorf("container %s: %w", id, runtime.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boxes[id] != b {
		_ = root.Close()
		return nil, runtime.ErrNotExist
	}
	b.sessions[ours] = struct{}{}
	h := handlers{root}
	server := sftp.NewRequestServer(ours, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithStartDirectory("/www"))
	go func() {
		_ = server.Serve()
		_ = ours.Close()
		_ = root.Close()
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(b.sessions, ours)
	}()
	return theirs, nil
}

// Sessions counts the open file sessions of a container.
func (d *Driver) Sessions(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.boxes[id]; b != nil {
		return len(b.sessions)
	}
	return 0
}

// handlers answer SFTP requests below one root.
type handlers struct{ root *os.Root }

// inside turns the absolute path of a request into one below the root.
func inside(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	if p == "" {
		return "."
	}
	return p
}

func (h handlers) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	return h.root.Open(inside(r.Filepath))
}

func (h handlers) Filewrite(r *sftp.Request) (io.WriterAt, error) { return h.OpenFile(r) }

func (h handlers) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) {
	want := r.Pflags()
	flags := os.O_WRONLY
	if want.Read {
		flags = os.O_RDWR
	}
	for _, f := range []struct {
		on   bool
		flag int
	}{{want.Creat, os.O_CREATE}, {want.Trunc, os.O_TRUNC}, {want.Excl, os.O_EXCL}} {
		if f.on {
			flags |= f.flag
		}
	}
	return h.root.OpenFile(inside(r.Filepath), flags, 0o644)
}

func (h handlers) Filecmd(r *sftp.Request) error {
	name, target := inside(r.Filepath), inside(r.Target)
	switch r.Method {
	case "Setstat":
		return h.setstat(name, r)
	case "Rename":
		if _, err := h.root.Lstat(target); err == nil {
			return fs.ErrExist
		}
		return h.root.Rename(name, target)
	case "Rmdir", "Remove":
		return h.root.Remove(name)
	case "Mkdir":
		return h.root.Mkdir(name, 0o755)
	case "Link":
		return h.root.Link(name, target)
	case "Symlink":
		return h.root.Symlink(r.Filepath, target)
	}
	return sftp.ErrSSHFxOpUnsupported
}

func (h handlers) PosixRename(r *sftp.Request) error {
	return h.root.Rename(inside(r.Filepath), inside(r.Target))
}

func (h handlers) setstat(name string, r *sftp.Request) error {
	has, a := r.AttrFlags(), r.Attributes()
	var errs []error
	if has.Size {
		errs = append(errs, h.truncate(name, int64(a.Size)))
	}
	if has.Permissions {
		errs = append(errs, h.root.Chmod(name, a.FileMode().Perm()))
	}
	if has.Acmodtime {
		errs = append(errs, h.root.Chtimes(name, time.Unix(int64(a.Atime), 0), time.Unix(int64(a.Mtime), 0)))
	}
	return errors.Join(errs...)
}

func (h handlers) truncate(name string, size int64) error {
	f, err := h.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

func (h handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	name := inside(r.Filepath)
	switch r.Method {
	case "List":
		entries, err := fs.ReadDir(h.root.FS(), name)
		var all listing
		for _, e := range entries {
			if i, err := e.Info(); err == nil {
				all = append(all, i)
			}
		}
		return all, err
	case "Stat":
		i, err := h.root.Stat(name)
		return listing{i}, err
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

func (h handlers) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	i, err := h.root.Lstat(inside(r.Filepath))
	return listing{i}, err
}

func (h handlers) Readlink(name string) (string, error) { return h.root.Readlink(inside(name)) }

// listing answers a folder piece by piece.
type listing []os.FileInfo

func (l listing) ListAt(into []os.FileInfo, from int64) (int, error) {
	if from >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[from:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}
