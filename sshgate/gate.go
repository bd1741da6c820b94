// Package sshgate is the door for files: SFTP and both kinds of scp, for every site of the school on one address.
//
// "login@gate" shows the sites of a person as folders; "login+site@gate" opens one site and nothing else. The gate
// proves who somebody is, finds which site is meant, and moves bytes: it resolves no path, runs no program and opens no
// file of a site. That is done by the site's own SFTP server behind Sites.Files (RULE NS).
//
// gliderlabs/ssh reads the sessions. As shipped it lets one person enter as another, lets everybody in when no handler
// is set, and dies of one packet (SAFETY.md, facts 1 to 3), so nothing reaches it but through guard.go, auth.go and
// filter.go. Run attack_test.go before touching one of these three.
package sshgate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"petitpont/site"
	"petitpont/views/i18n"
)

// Sites is what the gate needs of the heart.
type Sites interface {
	// Login proves who somebody is. It throttles; *site.Error says why it refused.
	Login(ctx context.Context, login, password string, from netip.Addr) (site.Identity, error)
	// Mine lists the sites of a person, Find one of them by name. An administrator finds all (RULE SCOPE).
	Mine(ctx context.Context, who site.Identity) ([]site.Site, error)
	Find(ctx context.Context, who site.Identity, name string) (site.Site, error)
	// Files speaks SFTP v3 as the site's own user. It is closed from behind when the site goes or the right to it
	// ends (RULE EPOCH).
	Files(ctx context.Context, who site.Identity, name string) (net.Conn, error)
	// Revoked is closed when the live sessions of a person must end (RULE EPOCH); nil means never. It is asked again every
	// Limits.Presence, which tells who is still here.
	Revoked(who site.Identity) <-chan struct{}
}

// Config is what a Gate is made of.
type Config struct {
	Sites    Sites
	HostKeys []gossh.Signer // see LoadOrCreateHostKeys
	Lang     i18n.Lang      // when the client sends no LANG; zero is French
	Host     string         // name of the gate as people type it, for the lines it shows; zero is "localhost"
	Port     int            // port as people type it; zero is 22
	Log      *slog.Logger   // zero is slog.Default()
	Limits   Limits
}

// Limits are the budgets of the gate (RULE BUDGET). A zero takes the default.
type Limits struct {
	Pending          int           // connections that have not logged in, all together; 512
	PendingPerSource int           // the same from one IPv4 address or IPv6 /64; 64: a class sits behind one address
	Handshake        time.Duration // from accept to logged in, not renewed by anything; 25 s
	Idle             time.Duration // without one byte in either direction; 1 h
	Presence         time.Duration // how often the heart is asked about who is connected; site.Presence
	Tries            int           // passwords on one connection; 4
	Connections      int           // of one person; 32
	Channels         int           // sessions on one connection; 10, what OpenSSH gives
	Sessions         int           // of one person, all connections together; 64
	Handles          int           // files and folders one person holds open through "login@gate"; 1,024
	Names            int           // names of listed folders held for one person; 300,000
}

func (l Limits) orDefault() Limits {
	set := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	set(&l.Pending, 512)
	set(&l.PendingPerSource, 64)
	set(&l.Tries, 4)
	set(&l.Connections, 32)
	set(&l.Channels, 10)
	set(&l.Sessions, 64)
	set(&l.Handles, 1024)
	set(&l.Names, 300_000)
	if l.Handshake == 0 {
		l.Handshake = 25 * time.Second
	}
	if l.Idle == 0 {
		l.Idle = time.Hour
	}
	if l.Presence == 0 {
		l.Presence = site.Presence
	}
	return l
}

// Gate serves SSH on the listeners given to Serve.
type Gate struct {
	Config
	server *ssh.Server
	guard  *guard
	people *people
	off    parts

	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[*conn]bool
	closing   bool
	running   sync.WaitGroup
}

// parts of the guard that tests take away, to see their attack succeed. Always zero outside tests.
type parts struct{ filter, env, recover bool }

// New makes a gate. It panics without host keys: gliderlabs/ssh would invent new ones at each start.
func New(c Config) *Gate {
	if len(c.HostKeys) == 0 {
		panic("sshgate: no host keys")
	}
	c.Limits = c.Limits.orDefault()
	if c.Lang == "" {
		c.Lang = i18n.FR
	}
	if c.Host == "" {
		c.Host = "localhost"
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	g := &Gate{
		Config: c,
		guard:  newGuard(c.Limits.Pending, c.Limits.PendingPerSource),
		people: &people{limits: c.Limits, all: map[string]*person{}},

		listeners: map[net.Listener]bool{},
		conns:     map[*conn]bool{},
	}
	g.server = g.newServer()
	return g
}

func (g *Gate) newServer() *ssh.Server {
	refuse := func(ssh.Context, *ssh.Server, *gossh.Request) (bool, []byte) { return false, nil }
	s := &ssh.Server{
		Version:              "petitpont",
		IdleTimeout:          g.Limits.Idle,
		ConnCallback:         rememberConn,
		ServerConfigCallback: func(ctx ssh.Context) *gossh.ServerConfig { return g.serverConfig(connOf(ctx)) },
		Handler:              g.handler((*session).command),
		SubsystemHandlers:    map[string]ssh.SubsystemHandler{"sftp": ssh.SubsystemHandler(g.handler((*session).sftp))},
		ChannelHandlers:      map[string]ssh.ChannelHandler{"session": g.openSession, "default": refuseChannel},
		RequestHandlers:      map[string]ssh.RequestHandler{"default": refuse}, // no -R, no streamlocal
	}
	for _, key := range g.HostKeys {
		s.HostSigners = append(s.HostSigners, key)
	}
	return s
}

// ErrClosed is what Serve returns after Close.
var ErrClosed = errors.New("gate is closed")

// Serve takes connections from l until Close, or until l fails. It closes l.
func (g *Gate) Serve(l net.Listener) error {
	if !g.listen(l) {
		_ = l.Close()
		return ErrClosed
	}
	defer l.Close()
	for delay := time.Duration(0); ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			delay = 0
			g.take(nc)
		case g.isClosing():
			return ErrClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept ssh: %w", err)
		default: // out of descriptors, or the peer was gone already: neither may end the gate
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			g.Log.Warn("ssh accept", "err", err, "again", delay)
			time.Sleep(delay)
		}
	}
}

// take runs one connection. gliderlabs' own accept loop is not used: it has no recover.
func (g *Gate) take(nc net.Conn) {
	c := newConn(g, nc)
	if !g.track(c) {
		nc.Close()
		return
	}
	g.guard.admit(c)
	go func() {
		defer g.running.Done()
		defer c.Close()
		defer g.recovered("ssh connection")
		g.server.HandleConn(c)
	}()
}

// recovered ends a panic where it happened: the gate shares its process with the panel and the proxy.
func (g *Gate) recovered(where string) {
	if g.off.recover {
		return
	}
	if v := recover(); v != nil {
		g.Log.Error("panic", "where", where, "value", v, "stack", string(debug.Stack()))
	}
}

// Close stops listening, lets the sessions under way end until ctx is done, and cuts those that remain.
func (g *Gate) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closing = true
	for l := range g.listeners {
		_ = l.Close()
	}
	conns := g.liveLocked()
	g.mu.Unlock()
	for _, c := range conns {
		c.closeIfIdle()
	}
	ended := make(chan struct{})
	go func() { g.running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	for _, c := range conns {
		_ = c.Close()
	}
	<-ended
	return ctx.Err()
}

func (g *Gate) listen(l net.Listener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closing {
		g.listeners[l] = true
	}
	return !g.closing
}

func (g *Gate) isClosing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closing
}

func (g *Gate) track(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return false
	}
	g.running.Add(1)
	g.conns[c] = true
	return true
}

func (g *Gate) forget(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

func (g *Gate) liveLocked() []*conn {
	var all []*conn
	for c := range g.conns {
		all = append(all, c)
	}
	return all
}
