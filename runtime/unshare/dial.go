package unshare

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Dial makes a socket inside the site's network namespace and connects it to the site's own loopback.
func (d *Driver) Dial(ctx context.Context, id string, port uint16) (net.Conn, error) {
	ns, err := d.netOf(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = ns.Close() }()
	conn, err := dialIn(ctx, ns, port)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", id, err)
	}
	return conn, nil
}

// netOf holds the site only as long as it takes to open its namespace: a slow connect must not block a stop.
func (d *Driver) netOf(id string) (*os.File, error) {
	c, err := d.find(id)
	if err != nil {
		return nil, err
	}
	defer d.leave(c)
	if c.box == nil || !c.box.running() || !c.box.alive() {
		return nil, fmt.Errorf("dial %s: %w", id, runtime.ErrNotRunning)
	}
	return c.box.namespace("net")
}

// dialIn connects from a thread that has joined only the network namespace and touches no file of the site.
// For a literal address the socket is made by the calling goroutine.
func dialIn(ctx context.Context, ns *os.File, port uint16) (conn net.Conn, err error) {
	aside(func() {
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("join network: %w", err)
			return
		}
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	})
	return conn, err
}
