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
	io.Reader
	conn  *http.ResponseController
	stall time.Duration
	left  int64
	fault atomic.Pointer[error]
	over  atomic.Bool
}

// errLarge is what a site's connection gets to see when an upload without announced length passes its limit.
var errLarge = errors.New("upload too large")

func (v *visit) receive() *upload {
	return &upload{
		Reader: v.r.Body,
		conn:   http.NewResponseController(v.w.ResponseWriter),
		stall:  v.limits.Stall,
		left:   v.limits.Body,
	}
}

func (u *upload) Read(b []byte) (int, error) {
	if u.over.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	u.conn.SetReadDeadline(time.Now().Add(u.stall)) //nolint:errcheck // then it has no deadlines
	n, err := u.Reader.Read(b)
	u.conn.SetReadDeadline(time.Time{}) //nolint:errcheck // a site may take its time between two reads
	if u.left -= int64(n); u.left < 0 {
		n, err = 0, errLarge
	}
	if err != nil && err != io.EOF { // io.Reader returns it unwrapped
		u.fault.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close lets nobody read any more. The visitor's connection is net/http's to clear, after the answer: doing it here
// would wait for a body that the site has already refused.
func (u *upload) Close() error {
	u.over.Store(true)
	return nil
}

// end closes the body, if there is one.
func (u *upload) end() {
	if u != nil {
		u.over.Store(true)
	}
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
