package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"
)

// Filelist answers STAT and opens a folder.
func (h *handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	switch r.Method {
	case "Stat":
		info, err := os.Stat(r.Filepath)
		if f := h.renamed(r.Filepath); f != nil && errors.Is(err, os.ErrNotExist) {
			info, err = f.stat()
		}
		return one{info}, explain(err)
	case "List":
		return openFolder(r.Filepath)
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

// Lstat answers about a link itself.
func (h *handlers) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	info, err := os.Lstat(r.Filepath)
	return one{info}, explain(err)
}

// stat asks the descriptor; a copy of it, because os.File wants to own one.
func (f *file) stat() (info fs.FileInfo, err error) {
	err = f.with(func(fd int) error {
		again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		dup := os.NewFile(uintptr(again), f.path)
		defer func() { _ = dup.Close() }()
		info, err = dup.Stat()
		return err
	})
	return info, err
}

// one is the answer about a single file.
type one struct{ info fs.FileInfo }

// ListAt gives the only entry.
func (o one) ListAt(into []os.FileInfo, off int64) (int, error) {
	if off > 0 || len(into) == 0 {
		return 0, io.EOF
	}
	into[0] = o.info
	return 1, nil
}

// folder reads a directory as it is asked for: one of a million names takes no more memory than one of a hundred.
type folder struct {
	mu    sync.Mutex
	dir   *os.File
	first []os.FileInfo // "." and "..", which come before the others
}

func openFolder(name string) (*folder, error) {
	dir, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, explain(err)
	}
	f := &folder{dir: dir}
	for _, dot := range []string{".", ".."} {
		if info, err := os.Stat(path.Join(name, dot)); err == nil {
			f.first = append(f.first, dotted{info, dot})
		}
	}
	return f, nil
}

// dotted is a folder under the name of "." or "..".
type dotted struct {
	fs.FileInfo
	name string
}

// Name is "." or "..".
func (d dotted) Name() string { return d.name }

// ListAt gives the next entries. The requests of one handle come in order, so the offset says nothing new.
func (f *folder) ListAt(into []os.FileInfo, _ int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(into, f.first)
	f.first = f.first[n:]
	if n == len(into) {
		return n, nil
	}
	list, err := f.dir.Readdir(len(into) - n)
	n += copy(into[n:], list)
	if n > 0 && errors.Is(err, io.EOF) {
		return n, nil
	}
	return n, explain(err)
}

// Close closes the folder.
func (f *folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dir.Close()
}

// Readlink gives the text of a link.
func (h *handlers) Readlink(name string) (string, error) {
	text, err := os.Readlink(name)
	return text, explain(err)
}

// maxLinks is how many links one path may go through, as in the kernel.
const maxLinks = 40

// RealPath resolves links as far as the path exists; the last name may be one that is still to come.
func (h *handlers) RealPath(name string) (string, error) {
	if !path.IsAbs(name) {
		name = h.start + "/" + name
	}
	done, todo := "/", strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if next == "" || next == "." || next == ".." {
			done = path.Join(done, next) // done holds no link, so ".." is its parent
			continue
		}
		at := path.Join(done, next)
		info, err := os.Lstat(at)
		switch {
		case errors.Is(err, os.ErrNotExist) && onlyDots(todo):
			return at, nil
		case err != nil:
			return "", explain(err)
		case info.Mode()&fs.ModeSymlink == 0:
			done = at
			continue
		}
		if links++; links > maxLinks {
			return "", unix.ELOOP
		}
		text, err := os.Readlink(at)
		if err != nil {
			return "", explain(err)
		}
		if path.IsAbs(text) {
			done = "/"
		}
		todo = append(strings.Split(text, "/"), todo...)
	}
	return done, nil
}

func onlyDots(names []string) bool {
	for _, n := range names {
		if n != "" && n != "." {
			return false
		}
	}
	return true
}

// LookupUserName names the owner in long listings. There is no /etc/passwd to read below the root, and no need.
func (h *handlers) LookupUserName(id string) string { return nameOf(id) }

// LookupGroupName does the same for the group.
func (h *handlers) LookupGroupName(id string) string { return nameOf(id) }

func nameOf(id string) string {
	switch id {
	case "1000":
		return "site"
	case "0":
		return "root"
	}
	return id
}
