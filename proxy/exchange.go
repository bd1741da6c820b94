package proxy

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// exchange is a client for requests without a body, on one connection into a site: it writes, reads the answer, and
// lends the connection out again. http.Transport has two goroutines per connection for what these requests never
// need, and hands every request and answer through channels between them; that costs as much as all the rest of the
// way through the door (BENCHMARKS.md). What comes back is read by http.ReadResponse, the parser Transport uses.
//
// An exchange belongs to one request at a time, and while it is idle to its pool.
type exchange struct {
	conn  *streamConn
	in    *bufio.Reader
	out   *bufio.Writer
	left  int64 // bytes of header that the site may still send; -1 in bodies
	heard bool  // the site has said something since the request was written
	broke error // why reading ended; the parser may have made something else of it
}

const (
	inSize  = 16 << 10
	outSize = 4 << 10 // a request without a body
)

func newExchange(conn *streamConn) *exchange {
	x := &exchange{conn: conn}
	x.in = bufio.NewReaderSize(x, inSize)
	x.out = bufio.NewWriterSize(conn, outSize)
	return x
}

// errHeader is a site that does not come to the end of its header.
var errHeader = fmt.Errorf("more than %d bytes of header", maxAnswer)

// Read is what in reads through: it counts headers, not bodies.
func (x *exchange) Read(b []byte) (int, error) {
	switch {
	case x.left == 0:
		return 0, errHeader
	case x.left > 0 && int64(len(b)) > x.left:
		b = b[:x.left]
	}
	n, err := x.conn.Read(b)
	x.heard = x.heard || n > 0
	x.broke = err
	if x.left > 0 {
		x.left -= int64(n)
	}
	return n, err
}

// do sends req and reads the header of the answer. Whoever closes the answer's body, or reads it to its end, gives the
// exchange back to r; after an error it is closed.
func (x *exchange) do(req *http.Request, e *early, r *route) (*http.Response, error) {
	stop := context.AfterFunc(req.Context(), func() { x.conn.Close() }) // the visitor has left: so has the request
	res, err := x.ask(req, e, r.limits)
	if err != nil {
		stop()
		x.conn.Close()
		if cause := req.Context().Err(); cause != nil {
			err = cause
		}
		return nil, err
	}
	a := &reply{ReadCloser: res.Body, exchange: x, route: r, stop: stop, last: res.Close}
	if req.Method == http.MethodHead || res.ContentLength == 0 { // there is no body, and res.Body says so
		a.end(nil)
		return res, nil
	}
	res.Body = a
	return res, nil
}

// ask writes req and reads until the header of its final answer has come.
func (x *exchange) ask(req *http.Request, e *early, limits *Limits) (*http.Response, error) {
	x.heard, x.broke, x.left = false, nil, maxAnswer
	x.conn.within(limits.FirstByte) // writing takes no time: a request without a body fits in the kernel's buffers
	if err := errors.Join(req.Write(x.out), x.out.Flush()); err != nil {
		return nil, err
	}
	for {
		res, err := http.ReadResponse(x.in, req)
		switch {
		case err != nil:
			return nil, unexpected(cmp.Or(x.broke, err))
		case res.StatusCode == http.StatusSwitchingProtocols: // nothing of this kind is asked for here
			return nil, errSwitch
		case res.StatusCode >= http.StatusOK, res.StatusCode < http.StatusContinue:
			x.left = -1
			x.conn.within(limits.Stream)
			return res, nil
		}
		if res.StatusCode == http.StatusContinue {
			continue // nobody waits for it, and the budget of the header counts it
		}
		if err := e.say(res.StatusCode, res.Header); err != nil {
			return nil, err
		}
	}
}

func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // as above
		return nil
	}
	return err
}

// unexpected keeps an end between two answers from looking like the good end of one.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// reply is the body of a site's answer. One goroutine reads and closes it.
type reply struct {
	io.ReadCloser
	*exchange
	route *route
	stop  func() bool // ends the watch over the visitor; false when it has struck
	last  bool        // the site closes the connection after this answer
	ended bool
}

// Read gives the exchange back at the end of the body.
func (a *reply) Read(b []byte) (int, error) {
	n, err := a.ReadCloser.Read(b)
	if err != nil {
		a.end(err)
	}
	return n, err
}

// pass writes the whole body, which is size bytes long, to w, without taking what is still in the kernel out of it.
func (a *reply) pass(w *recorder, size int64) error {
	first, _ := a.in.Peek(int(min(int64(a.in.Buffered()), size)))
	n, err := w.Write(first)
	if err == nil {
		a.in.Discard(n) //nolint:errcheck // they are there
		err = w.take(a.conn, size-int64(n))
	}
	if err == nil {
		err = io.EOF
	}
	a.end(err)
	return noEOF(err)
}

// Close ends the connection when there was more to read: finding out how much more is not worth it.
func (a *reply) Close() error {
	a.end(http.ErrBodyReadAfterClose)
	return nil
}

func (a *reply) end(err error) {
	if a.ended {
		return
	}
	a.ended = true
	whole := err == nil || err == io.EOF //nolint:errorlint // io.Reader returns it unwrapped
	if watched := a.stop(); !watched || !whole || a.last || a.in.Buffered() > 0 {
		a.conn.Close()
		return
	}
	a.route.put(a.exchange)
}
