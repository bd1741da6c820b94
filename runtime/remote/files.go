package remote

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lender is a connection that wants its Close called when the session ends, as a driver that counts sessions does,
// and yet lets its socket be passed on. The client then keeps the call's connection for as long as it has the socket.
type lender interface {
	net.Conn
	Socket() net.Conn // without it such a connection is copied
}

// export gives a descriptor that stands for c in another process: c's own where it has one, else one end of a
// socketpair whose other end is copied from and to c until one of them, or ctx, ends. c belongs to export from now on.
func export(ctx context.Context, copies *sync.WaitGroup, c net.Conn) (*os.File, error) {
	if s, ok := c.(syscall.Conn); ok {
		defer c.Close()
		return duplicate(s)
	}
	near, far, err := socketpair()
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	copies.Go(func() { relay(ctx, near, c) })
	return far, nil
}

// relay copies both ways until one side ends, then closes both.
func relay(ctx context.Context, a, b io.ReadWriteCloser) {
	end := func() { _ = a.Close(); _ = b.Close() }
	stop := context.AfterFunc(ctx, end)
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(a, b)
		end()
	})
	_, _ = io.Copy(b, a)
	end()
	back.Wait()
}

// exportReader is export for the output of a process. A copy ends with the output, or with ctx.
func exportReader(ctx context.Context, from io.Reader, copies *sync.WaitGroup) (*os.File, error) {
	if s, ok := from.(syscall.Conn); ok {
		return duplicate(s)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	copies.Go(func() {
		defer stop()
		defer w.Close()
		_, _ = io.Copy(w, from)
	})
	return r, nil
}

// exportWriter is export for the input of a process. Our own end is closed, or else the program would never see the
// end of its input; a terminal's stays open, since Resize needs it and a terminal's input does not end by closing.
func exportWriter(ctx context.Context, to io.WriteCloser, tty bool) (*os.File, error) {
	if s, ok := to.(syscall.Conn); ok {
		if !tty {
			defer to.Close()
		}
		return duplicate(s)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = r.Close() })
	go func() {
		defer stop()
		defer r.Close()
		defer to.Close()
		_, _ = io.Copy(to, r)
	}()
	return w, nil
}

// duplicate returns a second descriptor, close-on-exec, of the same open file. It never sets the blocking mode,
// which both would share.
func duplicate(s syscall.Conn) (*os.File, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	dup := -1
	var failed error
	if err := raw.Control(func(fd uintptr) { dup, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	if failed != nil {
		return nil, fmt.Errorf("duplicate descriptor: %w", failed)
	}
	return os.NewFile(uintptr(dup), "remote"), nil
}

func socketpair() (near net.Conn, far *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	far = os.NewFile(uintptr(fds[1]), "remote")
	if near, err = asConn(os.NewFile(uintptr(fds[0]), "remote")); err != nil {
		_ = far.Close()
		return nil, nil, err
	}
	return near, far, nil
}

// asConn makes a net.Conn of a socket's descriptor and closes f.
func asConn(f *os.File) (net.Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("adopt socket: %w", err)
	}
	return c, nil
}
