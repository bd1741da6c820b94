package proxy

import (
	"bufio"
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

// WriteHeader passes the status on. ReverseProxy hands interim answers (103 Early Hints) over as they came from the
// site, so what speaks to its connection only is taken out here (golang/go #81319).
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
