package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Options of Serve.
type Options struct {
	AllowUIDs []uint32     // users who may call, besides root
	Log       *slog.Logger // nil: slog.Default

	requestTime time.Duration // from the connection to a whole request
}

// Serve answers calls that come in at l with d, until ctx ends; then it cancels the calls under way, waits for them
// and returns nil. It closes l. It serialises calls about one ID, so d may rely on that however many clients there are.
func Serve(ctx context.Context, l *net.UnixListener, d runtime.Driver, o Options) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.requestTime == 0 {
		o.requestTime = requestTime
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &server{ctx: ctx, driver: d, options: o, slots: make(chan struct{}, maxCalls)}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { _ = l.Close(); close(closed) })
	defer func() {
		if stop() {
			_ = l.Close()
		} else {
			<-closed // accept may hear of it sooner, while the kernel still takes connections for us
		}
		cancel()
		s.calls.Wait()
	}()
	return s.accept(l)
}

type server struct {
	ctx     context.Context // ends the server
	driver  runtime.Driver
	options Options
	locks   locks
	slots   chan struct{}  // one token per connection
	calls   sync.WaitGroup // connections, and copies that outlive them
}

func (s *server) accept(l *net.UnixListener) error {
	for {
		c, err := l.AcceptUnix()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		case err != nil:
			// Out of descriptors, most likely: what is open goes on, and the next try may find room.
			s.options.Log.Error("accept", "err", err)
			pause(s.ctx, 50*time.Millisecond)
		default:
			s.calls.Go(func() { s.serve(c) })
		}
	}
}

// serve is the life of one connection.
func (s *server) serve(c *net.UnixConn) {
	w := newWire(c)
	defer w.close()
	if err := s.admit(c); err != nil {
		s.options.Log.Warn("call refused", "err", err)
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.options.Log.Error("too many calls at once", "most", maxCalls)
		return
	}
	q, err := s.read(w)
	if err != nil {
		s.options.Log.Warn("call refused", "call", q.Call, "err", err)
		_ = w.write(answer{V: Version, Done: true, Err: packError(err)})
		return
	}
	s.answer(w, q)
}

// admit looks at who is calling before a byte is read (RULE SPLIT).
func (s *server) admit(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("peer credentials: %w", err)
	}
	if peer.Uid != 0 && !slices.Contains(s.options.AllowUIDs, peer.Uid) {
		return fmt.Errorf("user %d may not call", peer.Uid)
	}
	return nil
}

// read takes the request, whole and checked, before the client has lost its turn.
func (s *server) read(w *wire) (request, error) {
	if err := w.conn.SetReadDeadline(time.Now().Add(s.options.requestTime)); err != nil {
		return request{}, err
	}
	line, err := w.readLine(maxRequest)
	if err != nil {
		return request{}, fmt.Errorf("read request: %w", err)
	}
	q, err := parseRequest(line)
	if err != nil {
		return q, err
	}
	if err := q.validate(); err != nil {
		return q, err
	}
	return q, w.conn.SetReadDeadline(time.Time{})
}

// answer runs the call under the lock of its ID. The call's ctx ends with the server, and when the client goes.
func (s *server) answer(w *wire, q request) {
	ctx, cancel := context.WithCancel(s.ctx)
	call := &call{request: q, server: s, wire: w, cancel: cancel}
	var reader sync.WaitGroup
	reader.Go(call.listen)
	// The deadline ends the reader also when the client stays connected.
	defer reader.Wait()
	defer func() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) }()
	defer cancel()
	defer func() {
		// One driver's bug must not take the runtime of every site along; the stack says where it is.
		if r := recover(); r != nil {
			s.options.Log.Error("call panicked", "call", q.Call, "id", q.ID, "panic", r, "stack", string(debug.Stack()))
			call.fail(errors.New("runtime: internal error"))
		}
	}()
	if err := calls[q.Call].run(call, ctx); err != nil {
		call.fail(err)
	}
}

// call is one request being answered.
type call struct {
	request
	server *server
	wire   *wire
	cancel context.CancelFunc // ends the call's ctx

	mu      sync.Mutex
	control func(control) // takes control lines, if the call has any; guarded by mu
}

// listen waits for the client to go, which cancels the call, and hands control lines to whoever wants them.
// Anything else that comes is not for us, and counts as going.
func (c *call) listen() {
	defer c.cancel()
	for {
		line, err := c.wire.readLine(maxControl)
		if err != nil {
			return
		}
		c.mu.Lock()
		take := c.control
		c.mu.Unlock()
		var m control
		if take == nil || parse(line, &m) != nil {
			return
		}
		take(m)
	}
}

// locked runs f while no other call about the same ID runs.
func (c *call) locked(ctx context.Context, f func() error) error {
	unlock, err := c.server.locks.lock(ctx, c.ID)
	if err != nil {
		return err
	}
	defer unlock()
	return f()
}

func (c *call) done(a answer) error {
	a.V, a.Done = Version, true
	return c.wire.write(a)
}

// fail ends the call with err. A call cut short by the end of the server says that the runtime is down: the caller
// did not cancel it.
func (c *call) fail(err error) {
	if c.server.ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", runtime.ErrDown, err)
	}
	_ = c.wire.write(answer{V: Version, Done: true, Err: packError(err)})
}

// pause waits for d, or for ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
