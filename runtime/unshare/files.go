package unshare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Files starts petitpont-box's SFTP server inside the box, as a descriptor: no program of the site's is run, and the
// host resolves no path of it (RULE NS). A sleeping site gets a box without services, which is taken away some time
// after its last session.
func (d *Driver) Files(ctx context.Context, id string) (net.Conn, error) {
	c, err := d.find(id)
	if err != nil {
		return nil, err
	}
	defer d.leave(c)
	if err := d.standing(ctx, c, false); err != nil {
		return nil, fmt.Errorf("files of %s: %w", id, err)
	}
	if err := d.step(ctx, "open files"); err != nil {
		return nil, d.unless(ctx, c, err)
	}
	s, err := d.openFiles(c)
	if err != nil {
		return nil, d.unless(ctx, c, fmt.Errorf("files of %s: %w", id, err))
	}
	if c.box.linger != nil {
		c.box.linger.Stop()
	}
	c.box.sessions++
	return s, nil
}

// unless takes a box away again that was opened for a session that failed.
func (d *Driver) unless(ctx context.Context, c *container, err error) error {
	if c.box.running() || c.box.sessions > 0 {
		return err
	}
	return errors.Join(err, d.kill(ctx, c))
}

func (d *Driver) openFiles(c *container) (*session, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(p[0]), "files"), os.NewFile(uintptr(p[1]), "files")
	defer closeAll([]*os.File{ours, theirs})
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	b := c.box
	// It begins as the box's root, locks itself into the home and becomes the site's user.
	init, err := b.exec(program{
		flags: execKeep | execProgram, dir: "/", argv: []string{"petitpont-box", "files"},
		env: []string{"GOMAXPROCS=2"}, files: []*os.File{theirs, theirs, null, d.box},
	})
	if err != nil {
		return nil, err
	}
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, errors.Join(err, init.Close())
	}
	return &session{Conn: conn, init: init.control, ended: func() { d.sessionEnded(c, b) }}, nil
}

// session is the stream of an SFTP server. Its Close ends the server, by the end of the stream and then by hanging up.
type session struct {
	net.Conn
	init  control
	once  sync.Once
	ended func()
}

// Socket is the stream itself, for runtime/remote to pass on instead of copying; Close stays with us.
func (s *session) Socket() net.Conn { return s.Conn }

func (s *session) Close() error {
	err := s.Conn.Close()
	s.once.Do(func() {
		_ = s.init.Close()
		s.ended()
	})
	return err
}

// sessionEnded counts down, and leaves an empty box standing for a while: clients often come back at once.
func (d *Driver) sessionEnded(c *container, b *box) {
	go func() { // Close must not wait for a call that is busy with the site
		c.mu.Lock()
		defer d.leave(c)
		b.sessions--
		if c.box != b || b.sessions > 0 || b.running() {
			return
		}
		b.linger = time.AfterFunc(d.Linger, func() { d.putAway(c, b) })
	}()
}

func (d *Driver) putAway(c *container, b *box) {
	c.mu.Lock()
	defer d.leave(c)
	if c.box != b || b.sessions > 0 || b.running() || d.closing.Err() != nil {
		return
	}
	if err := d.kill(d.closing, c); err != nil {
		d.Log.Error("put box away", "site", b.id, "error", err)
	}
}
