package sshgate

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gliderlabs/ssh"
)

// maxRefusals is how many channels and requests a connection may have refused before it is closed: no client asks for
// that many things the gate does not offer.
const maxRefusals = 1000

const (
	readSize    = 32 << 10
	versionWait = 300 * time.Millisecond
)

// conn is one connection from accept to close, and our own record of it. The Context and the Session of gliderlabs/ssh
// are never asked who is at the other end.
type conn struct {
	net.Conn
	in       *bufio.Reader
	gate     *Gate
	id       string // for the log
	from     netip.Addr
	source   netip.Prefix
	greeted  atomic.Bool     // the key exchange is done
	welcome  atomic.Bool     // logged in
	ctx      context.Context // done when c is closed
	cancel   context.CancelFunc
	deadline time.Time // of the login
	once     sync.Once

	mu       sync.Mutex
	name     string // as typed with the first authentication request
	named    bool
	person   *person
	channels int
	refusals int
}

func newConn(g *Gate, nc net.Conn) *conn {
	from := addrOf(nc.RemoteAddr())
	// Absolute: nothing the peer sends moves it, see SetDeadline.
	deadline := time.Now().Add(g.Limits.Handshake)
	nc.SetDeadline(deadline)
	c := &conn{Conn: nc, in: bufio.NewReaderSize(nc, readSize), deadline: deadline, gate: g, id: newID(), from: from, source: source(from)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func newID() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// SetDeadline is called by gliderlabs/ssh around each read and write, to set its idle time or to clear it. Before the
// login that would undo the deadline of the handshake.
func (c *conn) SetDeadline(t time.Time) error {
	if !c.welcome.Load() {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// Read takes as much from the network as there is: x/crypto asks for 4 KiB at a time.
func (c *conn) Read(p []byte) (int, error) { return c.in.Read(p) }

// version waits a moment for the first line of the client, and leaves it to be read. It is "" when the client waits for
// ours first, as it may.
func (c *conn) version() string {
	c.Conn.SetReadDeadline(earlier(c.deadline, time.Now().Add(versionWait)))
	defer c.Conn.SetReadDeadline(c.deadline)
	_, _ = c.in.Peek(1)
	line, _ := c.in.Peek(min(c.in.Buffered(), 255))
	return string(line)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// enter is called when the authentication has succeeded.
func (c *conn) enter() {
	c.gate.guard.leave(c)
	c.welcome.Store(true)
	c.Conn.SetDeadline(time.Time{})
}

// Close may be called from anywhere, and twice.
func (c *conn) Close() error {
	var err error
	c.once.Do(func() {
		c.cancel()
		err = c.Conn.Close()
		c.gate.guard.leave(c)
		c.gate.forget(c)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gate.people.leave(c.person)
	})
	return err
}

// sameName tells whether name is the one this connection began with. RFC 4252 lets a client change it between attempts;
// that is how one person entered as another (SAFETY.md, fact 1), so here a connection has one name.
func (c *conn) sameName(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.named {
		c.name, c.named = name, true
	}
	return c.name == name
}

// belongs counts c among the connections of the person with that key; false when there are too many.
func (c *conn) belongs(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil { // Close has already counted off
		return false
	}
	c.gate.people.leave(c.person)
	c.person = c.gate.people.enter(key)
	return c.person != nil
}

// openChannel counts one more session on c and of its person; false when there are too many.
func (c *conn) openChannel() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.person == nil || c.channels >= c.gate.Limits.Channels || !c.person.take(&c.person.sessions, 1, c.gate.Limits.Sessions) {
		return false
	}
	c.channels++
	return true
}

func (c *conn) closeChannel() {
	c.mu.Lock()
	c.channels--
	c.person.give(&c.person.sessions, 1)
	c.mu.Unlock()
	if c.gate.isClosing() {
		c.closeIfIdle()
	}
}

func (c *conn) closeIfIdle() {
	c.mu.Lock()
	idle := c.channels == 0
	c.mu.Unlock()
	if idle {
		_ = c.Close()
	}
}

// refused counts what the gate turned down, and closes c when that is all it gets.
func (c *conn) refused() {
	c.mu.Lock()
	c.refusals++
	enough := c.refusals > maxRefusals
	c.mu.Unlock()
	if enough {
		c.gate.Log.Warn("ssh too many refusals", "conn", c.id, "from", c.from)
		_ = c.Close()
	}
}

type connKey struct{}

func rememberConn(ctx ssh.Context, nc net.Conn) net.Conn {
	ctx.SetValue(connKey{}, nc)
	return nc
}

func connOf(ctx ssh.Context) *conn { return ctx.Value(connKey{}).(*conn) }
