package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"petitpont/runtime"
)

// Client is the driver behind a socket. It holds no connection between calls, so that a restart of the runtime is
// noticed only by the calls under way: they end with runtime.ErrDown. It is safe for concurrent use; the server
// serialises calls about one ID.
type Client struct {
	// Patience is how long a call that changes or opens something waits for a runtime that is not there, since one that
	// is being restarted is back within a second or two. Looks never wait. Zero, the default, gives up at once.
	Patience time.Duration
	// Returned is called each time the runtime is there again after Exits has lost it: what happened in between is for
	// the caller to look at. It must not block. May be nil.
	Returned func()

	path string
}

var _ runtime.Driver = (*Client)(nil)

// Dial returns a Client of the runtime process that listens at path. It does not connect yet, and never fails.
func Dial(path string) *Client { return &Client{path: path} }

// Create makes the disk. See runtime.Driver.
func (c *Client) Create(ctx context.Context, s runtime.Spec) error {
	_, err := c.call(ctx, request{Call: "create", ID: s.ID, Spec: &s})
	return err
}

// Start starts the services. See runtime.Driver.
func (c *Client) Start(ctx context.Context, id string) (netip.AddrPort, error) {
	a, err := c.call(ctx, request{Call: "start", ID: id})
	return a.Addr, err
}

// Freeze halts the processes where they stand. See runtime.Driver.
func (c *Client) Freeze(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{Call: "freeze", ID: id})
	return err
}

// Thaw undoes Freeze. See runtime.Driver.
func (c *Client) Thaw(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{Call: "thaw", ID: id})
	return err
}

// Stop ends the services. See runtime.Driver; grace is at most ten minutes.
func (c *Client) Stop(ctx context.Context, id string, grace time.Duration) error {
	_, err := c.call(ctx, request{Call: "stop", ID: id, Grace: grace})
	return err
}

// Destroy removes the container. See runtime.Driver.
func (c *Client) Destroy(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{Call: "destroy", ID: id})
	return err
}

// SetLimits changes limits. See runtime.Driver.
func (c *Client) SetLimits(ctx context.Context, id string, l runtime.Limits) error {
	_, err := c.call(ctx, request{Call: "limits", ID: id, Limits: &l})
	return err
}

// SetEnv changes what services are told. See runtime.Driver.
func (c *Client) SetEnv(ctx context.Context, id string, env []string) error {
	_, err := c.call(ctx, request{Call: "env", ID: id, Env: env})
	return err
}

// List sees every container. See runtime.Driver.
func (c *Client) List(ctx context.Context) ([]runtime.Info, error) {
	a, err := c.call(ctx, request{Call: "list"})
	return a.List, err
}

// Usage reads the counters. See runtime.Driver.
func (c *Client) Usage(ctx context.Context, id string) (runtime.Usage, error) {
	a, err := c.call(ctx, request{Call: "usage", ID: id})
	if err != nil || a.Usage == nil {
		return runtime.Usage{}, err
	}
	return *a.Usage, nil
}

// Ledger is what has been promised of the disks' volume. See runtime.Driver.
func (c *Client) Ledger(ctx context.Context) (runtime.Ledger, error) {
	a, err := c.call(ctx, request{Call: "ledger"})
	if err != nil || a.Ledger == nil {
		return runtime.Ledger{}, err
	}
	return *a.Ledger, nil
}

// Strays lists what belongs to no container. See runtime.Driver.
func (c *Client) Strays(ctx context.Context) ([]runtime.Stray, error) {
	a, err := c.call(ctx, request{Call: "strays"})
	return a.Strays, err
}

// Templates lists what Create can use. See runtime.Driver.
func (c *Client) Templates(ctx context.Context) ([]runtime.Template, error) {
	a, err := c.call(ctx, request{Call: "templates"})
	return a.Templates, err
}

// Files opens an SFTP session: the session's own socket, not a copy of it. See runtime.Driver.
func (c *Client) Files(ctx context.Context, id string) (net.Conn, error) {
	return c.open(ctx, request{Call: "files", ID: id})
}

// Dial opens a TCP connection: the TCP socket itself. See runtime.Driver.
func (c *Client) Dial(ctx context.Context, id string, port uint16) (net.Conn, error) {
	return c.open(ctx, request{Call: "dial", ID: id, Port: port})
}

func (c *Client) open(ctx context.Context, q request) (net.Conn, error) {
	t, err := c.begin(ctx, q)
	if err != nil {
		return nil, err
	}
	conn, lent, err := t.opened()
	if err != nil || !lent {
		t.end()
		return conn, err
	}
	if !t.stop() { // ctx has ended, and the loan with it
		_ = conn.Close()
		t.end()
		return nil, t.lost(ctx.Err())
	}
	return &loan{conn.(*net.UnixConn), t}, nil
}

// opened reads the answer to an opening: a socket, and whether it is lent.
func (t *talk) opened() (conn net.Conn, lent bool, err error) {
	a, err := t.result()
	if err != nil {
		return nil, false, err
	}
	files, err := t.wire.files(a.Files)
	if err != nil {
		return nil, false, t.lost(err)
	}
	if len(files) != 1 {
		closeAll(files)
		return nil, false, t.lost(errGarbled)
	}
	if conn, err = asConn(files[0]); err != nil {
		return nil, false, t.lost(err)
	}
	if _, ok := conn.(*net.UnixConn); a.Lent && !ok {
		_ = conn.Close()
		return nil, false, t.lost(errGarbled)
	}
	return conn, a.Lent, nil
}

// loan is a socket whose session ends with the call's connection.
type loan struct {
	*net.UnixConn
	talk *talk
}

// Close ends the session.
func (l *loan) Close() error {
	err := l.UnixConn.Close()
	l.talk.wire.close()
	return err
}

// call makes a call whose answer is one line.
func (c *Client) call(ctx context.Context, q request) (answer, error) {
	t, err := c.begin(ctx, q)
	if err != nil {
		return answer{}, err
	}
	defer t.end()
	return t.result()
}

// undoTime is how long a change that was broken off may take to be undone before the caller is let go.
const undoTime = 10 * time.Second

// talk is a call under way on the client's side.
type talk struct {
	ctx  context.Context
	call string
	wire *wire
	stop func() bool // stops ctx from breaking the call off
}

// begin connects and sends q. From then on the end of ctx breaks the call off.
func (c *Client) begin(ctx context.Context, q request) (*talk, error) {
	q.V = Version
	if size, err := json.Marshal(q); err != nil || len(size) > maxRequest {
		return nil, fmt.Errorf("runtime %s: %w: arguments too long", q.Call, errors.Join(runtime.ErrInvalid, err))
	}
	conn, err := c.connect(ctx, c.patience(q.Call))
	if err != nil {
		return nil, down(ctx, q.Call, err)
	}
	t := &talk{ctx: ctx, call: q.Call, wire: newWire(conn).takeFiles()}
	t.stop = context.AfterFunc(ctx, t.breakOff)
	if err := t.wire.write(q); err != nil && !errors.Is(err, syscall.EPIPE) {
		// EPIPE: the server has refused without reading; its answer, if any, says why.
		t.end()
		return nil, t.lost(err)
	}
	return t, nil
}

// breakOff makes the server cancel the call. A change is waited for, since a driver promises that nothing is left
// behind once it has answered; a look or an opening is just dropped.
func (t *talk) breakOff() {
	switch t.call {
	case "create", "start", "freeze", "thaw", "stop", "destroy", "limits", "env",
		"build-template", "test-template", "publish-template", "retire-template", "move":
		_ = t.wire.conn.SetReadDeadline(time.Now().Add(undoTime))
		_ = t.wire.conn.CloseWrite()
	default:
		_ = t.wire.conn.Close()
	}
}

// patience is how long a call waits for a runtime to appear.
func (c *Client) patience(call string) time.Duration {
	switch call {
	case "list", "usage", "ledger", "strays", "templates", "exits", "versions":
		return 0
	}
	return c.Patience
}

// connect waits while the server's queue is full, which a burst of calls can cause, and for so long for a server to
// appear.
func (c *Client) connect(ctx context.Context, patience time.Duration) (*net.UnixConn, error) {
	for began := time.Now(); ; pause(ctx, 5*time.Millisecond) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", c.path)
		if err == nil {
			return conn.(*net.UnixConn), nil
		}
		absent := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
		again := errors.Is(err, syscall.EAGAIN) || absent && time.Since(began) < patience
		if !again || ctx.Err() != nil {
			return nil, err
		}
	}
}

// next reads a line and reports the steps among them.
func (t *talk) next() (answer, error) {
	for {
		line, err := t.wire.readLine(maxAnswer)
		if err != nil {
			return answer{}, t.lost(err)
		}
		a, err := parseAnswer(line)
		switch {
		case err != nil:
			return answer{}, t.lost(err)
		case a.Err != nil:
			return answer{}, t.blame(a.Err.unpack())
		case a.Build != nil:
			runtime.ReportBuild(t.ctx, *a.Build)
		case a.Step != "":
			runtime.Report(t.ctx, a.Step)
		default:
			return a, nil
		}
	}
}

// result reads up to the last line of the call.
func (t *talk) result() (answer, error) {
	a, err := t.next()
	if err == nil && !a.Done {
		err = t.lost(errGarbled)
	}
	return a, err
}

func (t *talk) lost(err error) error { return down(t.ctx, t.call, err) }

// blame lets the caller's own ctx speak first: to the server a deadline here is a call that was broken off.
func (t *talk) blame(err error) error {
	if cause := t.ctx.Err(); cause != nil && errors.Is(err, context.Canceled) && !errors.Is(err, cause) {
		return fmt.Errorf("runtime %s: %w: %w", t.call, cause, err)
	}
	return err
}

// end closes the connection and what came with it and was not taken.
func (t *talk) end() {
	t.stop()
	t.wire.close()
}

// down tells a call that was given up, which is the caller's own doing, from a runtime that is not there or died.
func down(ctx context.Context, call string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("runtime %s: %w", call, ctx.Err())
	}
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w: is this user allowed to call?", err)
	}
	return fmt.Errorf("runtime %s: %w: %w", call, runtime.ErrDown, err)
}
