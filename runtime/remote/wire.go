package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// wire is one connection: lines of JSON, with descriptors beside them.
//
// A wire made with takeFiles keeps what arrives until files takes it. Any other gives the kernel no room for
// descriptors, so that those an unfriendly peer sends are closed before they reach us.
type wire struct {
	conn *net.UnixConn
	buf  []byte // read, not yet asked for
	oob  []byte // nil: descriptors are refused
	held []int  // descriptors received, close-on-exec, not yet taken

	writing sync.Mutex
}

func newWire(c *net.UnixConn) *wire { return &wire{conn: c} }

func (w *wire) takeFiles() *wire {
	w.oob = make([]byte, unix.CmsgSpace(maxFiles*4))
	return w
}

var errTooLong = errors.New("message too long")

// readLine returns the next line of at most limit bytes. The slice is valid until the next call.
func (w *wire) readLine(limit int) ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(w.buf[seen:], '\n'); i >= 0 {
			line := w.buf[:seen+i]
			w.buf = w.buf[seen+i+1:]
			return line, w.within(len(line), limit)
		}
		seen = len(w.buf)
		if err := w.within(seen, limit); err != nil {
			return nil, err
		}
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
}

func (w *wire) within(n, limit int) error {
	if n > limit {
		return fmt.Errorf("%w: over %d bytes", errTooLong, limit)
	}
	return nil
}

// fill reads once more.
func (w *wire) fill() error {
	w.buf = slices.Grow(w.buf, 4096)
	// Go asks for MSG_CMSG_CLOEXEC: no descriptor is ever open in a program started meanwhile.
	n, oobn, flags, _, err := w.conn.ReadMsgUnix(w.buf[len(w.buf):cap(w.buf)], w.oob)
	if oobn > 0 {
		if e := w.hold(w.oob[:oobn]); e != nil {
			return e
		}
	}
	if err != nil {
		return err
	}
	if w.oob != nil && flags&unix.MSG_CTRUNC != 0 {
		return fmt.Errorf("%w: descriptors were lost", errGarbled)
	}
	w.buf = w.buf[:len(w.buf)+n]
	return nil
}

func (w *wire) hold(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("%w: %w", errGarbled, err)
	}
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			w.held = append(w.held, fds...)
		}
	}
	return nil
}

// files hands over the descriptors received so far, which must be n.
func (w *wire) files(n int) ([]*os.File, error) {
	if len(w.held) != n {
		return nil, fmt.Errorf("%w: %d descriptors announced, %d came", errGarbled, n, len(w.held))
	}
	files := make([]*os.File, n)
	for i, fd := range w.held {
		// Non-blocking, so that Close ends a Read and no thread waits in the kernel. The other end has its own flag.
		_ = syscall.SetNonblock(fd, true)
		files[i] = os.NewFile(uintptr(fd), "remote")
	}
	w.held = nil
	return files, nil
}

// write sends v as one line, with files beside it. Lines of several goroutines do not mix.
func (w *wire) write(v any, files ...*os.File) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	line = append(line, '\n')
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if len(files) > 0 {
		n, err := w.sendFiles(line, files)
		if err != nil {
			return err
		}
		line = line[n:]
	}
	_, err = w.conn.Write(line)
	return err
}

// sendFiles sends the descriptors with the first bytes of line and returns how many bytes went with them.
func (w *wire) sendFiles(line []byte, files []*os.File) (int, error) {
	fds := make([]int, len(files))
	for i, f := range files {
		// Fd would switch the file to blocking mode; Control only shows the number.
		raw, err := f.SyscallConn()
		if err != nil {
			return 0, err
		}
		if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
			return 0, err
		}
	}
	n, _, err := w.conn.WriteMsgUnix(line, unix.UnixRights(fds...), nil)
	return n, err
}

// close ends the connection and every descriptor nobody took. Not to be called beside readLine.
func (w *wire) close() {
	_ = w.conn.Close()
	for _, fd := range w.held {
		_ = unix.Close(fd)
	}
	w.held = nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
