package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// recorder stands before the visitor's connection: it remembers what was answered, keeps headers of one connection out
// of interim answers, and cuts off a visitor who takes nothing for too long.
type recorder struct {
	http.ResponseWriter
	status  int    // 0 while no final answer has begun
	written int64  // bytes of body
	ref     string // reference on the page, when there is one
	last    bool   // the connection takes no further request
	stall   time.Duration
	h1      bool // deadlines are the connection's; HTTP/2 has its own, see Server
}

// WriteHeader passes the status on. Interim answers (103 Early Hints) come as the site wrote them, so what speaks to its
// connection only is taken out here (golang/go #81319).
func (w *recorder) WriteHeader(status int) {
	if 100 <= status && status < 200 {
		stripHop(w.Header())
	} else if w.status == 0 {
		w.status = status
		if w.last {
			w.Header().Set("Connection", "close")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.patience()
	n, err := w.ResponseWriter.Write(b)
	w.written += int64(n)
	return n, err
}

// piece is how much of an answer is moved before the visitor's patience is measured anew, in bytes. It is twice what a
// write is otherwise, and together with Limits.Stall the slowest line that is served: 1 KiB/s.
const piece = 64 << 10

// take moves n bytes from a site's connection to the visitor's. Between two TCP connections the kernel moves them
// (splice(2)).
func (w *recorder) take(from *streamConn, n int64) error {
	direct, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok {
		direct = onlyWriter{w.ResponseWriter}
	}
	for n > 0 {
		w.patience()
		from.touch()
		moved, err := direct.ReadFrom(&io.LimitedReader{R: from.Conn, N: min(n, piece)})
		w.written += moved
		n -= moved
		if err != nil {
			return err
		}
		if moved == 0 {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// onlyWriter is an HTTP/2 stream, which can only be written to.
type onlyWriter struct{ io.Writer }

// ReadFrom copies through a buffer.
func (w onlyWriter) ReadFrom(r io.Reader) (int64, error) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w.Writer}, r, buf[:])
}

// FlushError is how http.ResponseController flushes.
func (w *recorder) FlushError() error {
	w.patience()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands the connection to a tunnel.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// patience gives the visitor until the next write to take this one. net/http lifts the deadline with the next request.
func (w *recorder) patience() {
	if w.h1 && w.stall > 0 {
		http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.stall)) //nolint:errcheck // then it has no deadlines
	}
}

// drain is how long net/http may read on at a body that no site wanted.
const drain = time.Second

// finish gives the visitor time to take the rest of the answer, and little time to send the rest of a body.
func (w *recorder) finish() {
	if !w.h1 || w.status == http.StatusSwitchingProtocols {
		return
	}
	w.patience()
	http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Now().Add(drain)) //nolint:errcheck // then it has no deadlines
}
