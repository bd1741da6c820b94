package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// upload is the body of a request on its way to the site. It never stands still longer than stall allows, never grows
// past its limit, and remembers whether it was the visitor who broke it: then the site is not to blame.
type upload struct {
	io.ReadCloser
	conn  *http.ResponseController
	stall time.Duration
	left  int64
	fault atomic.Pointer[error]
}

// errLarge is what a site's connection gets to see when an upload without announced length passes its limit.
var errLarge = errors.New("upload too large")

func (v *visit) receive() *upload {
	return &upload{
		ReadCloser: v.r.Body,
		conn:       http.NewResponseController(v.w.ResponseWriter),
		stall:      v.limits.Stall,
		left:       v.limits.Body,
	}
}

func (u *upload) Read(b []byte) (int, error) {
	u.conn.SetReadDeadline(time.Now().Add(u.stall)) //nolint:errcheck // then it has no deadlines
	n, err := u.ReadCloser.Read(b)
	u.conn.SetReadDeadline(time.Time{}) //nolint:errcheck // a site may take its time between two reads
	if u.left -= int64(n); u.left < 0 {
		n, err = 0, errLarge
	}
	if err != nil && err != io.EOF { // io.Reader returns it unwrapped
		u.fault.CompareAndSwap(nil, &err)
	}
	return n, err
}

// broken returns why the visitor's side ended, or nil.
func (u *upload) broken() error {
	if u == nil {
		return nil
	}
	if err := u.fault.Load(); err != nil {
		return *err
	}
	return nil
}
