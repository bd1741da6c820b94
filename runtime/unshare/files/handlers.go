package files

import (
	"errors"
	"io"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"
)

// handlers answer the requests of one session. pkg/sftp hands in absolute, lexically clean paths and calls from
// several goroutines.
type handlers struct {
	start string // where relative paths begin

	mu   sync.Mutex
	open map[string][]*file // files that are open, by the path they were opened with
}

var (
	_ sftp.FileReader           = (*handlers)(nil)
	_ sftp.OpenFileWriter       = (*handlers)(nil)
	_ sftp.PosixRenameFileCmder = (*handlers)(nil)
	_ sftp.StatVFSFileCmder     = (*handlers)(nil)
	_ sftp.LstatFileLister      = (*handlers)(nil)
	_ sftp.ReadlinkFileLister   = (*handlers)(nil)
	_ sftp.RealPathFileLister   = (*handlers)(nil)
	_ sftp.NameLookupFileLister = (*handlers)(nil)
)

// Fileread opens a file for reading.
func (h *handlers) Fileread(r *sftp.Request) (io.ReaderAt, error) { return h.openFile(r) }

// Filewrite opens a file for writing.
func (h *handlers) Filewrite(r *sftp.Request) (io.WriterAt, error) { return h.openFile(r) }

// OpenFile opens a file for both.
func (h *handlers) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) { return h.openFile(r) }

// openFile follows links, as everything below the root is the site's own, and never waits: neither at a FIFO nor for
// a lease. What is not a plain file is let go at once, or one FIFO per worker would stop the session (RULE STREAM).
func (h *handlers) openFile(r *sftp.Request) (*file, error) {
	flags, mode := openFlags(r)
	fd, err := retry(func() (int, error) {
		return unix.Open(r.Filepath, flags|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, mode)
	})
	if errors.Is(err, unix.ENXIO) { // a FIFO without reader, a socket
		return nil, errNotPlain
	}
	if err != nil {
		return nil, explain(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		_ = unix.Close(fd)
		return nil, errNotPlain
	}
	f := &file{fd: fd, path: r.Filepath, handlers: h}
	if r.Pflags().Append {
		f.tail = &tail{end: st.Size, known: make(chan struct{})}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[f.path] = append(h.open[f.path], f)
	return f, nil
}

// openFlags translates a request. The wish for a mode is only understood when it comes alone, as from every client
// seen: pkg/sftp does not pass on which attributes there are. A mode of nothing is no wish (WinSCP sends it).
func openFlags(r *sftp.Request) (flags int, mode uint32) {
	p := r.Pflags()
	switch {
	case p.Read && (p.Write || p.Append):
		flags = unix.O_RDWR
	case p.Write || p.Append || p.Creat || p.Trunc:
		flags = unix.O_WRONLY
	}
	for flag, wanted := range map[int]bool{unix.O_CREAT: p.Creat, unix.O_TRUNC: p.Trunc, unix.O_EXCL: p.Excl} {
		if wanted {
			flags |= flag
		}
	}
	if len(r.Attrs) == 4 {
		mode = uint32(r.Attrs[2])<<8 | uint32(r.Attrs[3])
	}
	if mode&0o777 == 0 {
		mode = 0o666
	}
	return flags, mode & 0o777
}

// renamed finds an open file by the path it was opened with, when that path leads nowhere any more. pkg/sftp turns
// requests about a handle into requests about its path; between the two the file may have got another name.
func (h *handlers) renamed(path string) *file {
	h.mu.Lock()
	defer h.mu.Unlock()
	if list := h.open[path]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// file is an open plain file.
type file struct {
	fd       int
	path     string
	handlers *handlers
	tail     *tail // of a file opened to append

	mu sync.RWMutex // Close waits for reads and writes: the number must not be used again under them
}

// ReadAt fills b as far as the file goes.
func (f *file) ReadAt(b []byte, off int64) (n int, err error) {
	return f.whole(b, off, unix.Pread, io.EOF)
}

// WriteAt writes all of b; behind what was there if the file was opened to append.
func (f *file) WriteAt(b []byte, off int64) (n int, err error) {
	if f.tail != nil {
		off = f.tail.place(off)
	}
	return f.whole(b, off, unix.Pwrite, io.ErrShortWrite)
}

func (f *file) whole(b []byte, off int64, do func(int, []byte, int64) (int, error), nothing error) (n int, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return 0, unix.EBADF
	}
	for n < len(b) {
		k, err := retry(func() (int, error) { return do(f.fd, b[n:], off+int64(n)) })
		if err != nil {
			return n, explain(err)
		}
		if k == 0 {
			return n, nothing
		}
		n += k
	}
	return n, nil
}

// Close closes the file. An error of it may be the only word of bytes that were not stored.
func (f *file) Close() error {
	h := f.handlers
	h.mu.Lock()
	list := h.open[f.path]
	for i := range list {
		if list[i] == f {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	h.open[f.path] = list
	if len(list) == 0 {
		delete(h.open, f.path)
	}
	h.mu.Unlock()

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd < 0 {
		return nil
	}
	fd := f.fd
	f.fd = -1
	return explain(unix.Close(fd))
}

// retry repeats a call that a signal interrupted: Go sends itself some.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
