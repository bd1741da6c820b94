package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrListening says that a live server has the socket already.
var ErrListening = errors.New("a runtime listens already")

// Listen makes the socket at path, mode 0660 and owned by uid and gid: gid is the group of serve. A socket that a dead
// server left is replaced in one step, so that no moment passes with wrong rights or without a socket; a live
// server's is not (ErrListening), nor is anything that is not a socket. Closing the listener leaves the socket behind,
// since by then a successor may own the name.
func Listen(path string, uid, gid int) (*net.UnixListener, error) {
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	defer unlock()
	if err := checkStale(path); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	l, err := listenAs(path, uid, gid)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	return l, nil
}

// lockDir keeps two starting servers from both finding the socket stale.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// checkStale returns nil when path is free or was left behind.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s stands there: %w", info.Mode().Type(), fs.ErrExist)
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return ErrListening
	case errors.Is(err, syscall.EAGAIN):
		return ErrListening // its queue is full
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	}
	return err
}

// listenAs gives the socket its rights under another name, then its name.
func listenAs(path string, uid, gid int) (*net.UnixListener, error) {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	for _, step := range []func() error{
		func() error { return os.Chmod(fresh, 0o660) },
		func() error { return os.Lchown(fresh, uid, gid) },
		func() error { return os.Rename(fresh, path) },
	} {
		if err := step(); err != nil {
			_ = l.Close()
			_ = os.Remove(fresh)
			return nil, err
		}
	}
	return l, nil
}
