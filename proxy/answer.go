package proxy

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// answer passes the site's answer on. One that breaks off in its body is cut off, so that it cannot be taken for whole.
func (v *visit) answer(res *http.Response) {
	defer res.Body.Close() // its error is of a connection that nobody needs any more
	stripHop(res.Header)
	h := v.w.Header()
	maps.Copy(h, res.Header)
	announced := len(res.Trailer)
	for key := range res.Trailer {
		h.Add("Trailer", key)
	}
	v.w.WriteHeader(res.StatusCode)
	if err := v.relay(res); err != nil {
		v.log.Debug("answer broke off", "site", v.site.ID, "err", err)
		panic(http.ErrAbortHandler)
	}
	if len(res.Trailer) > 0 {
		v.w.FlushError() //nolint:errcheck // the trailers meet the same error
	}
	for key, values := range res.Trailer {
		if len(res.Trailer) != announced { // not all of them were announced: the prefix says that these are trailers
			key = http.TrailerPrefix + key
		}
		h[key] = values
	}
}

// relay copies the body of an answer. What has no length, or is a stream of events, is passed on as it comes; a site
// that is read without a detour is spliced, kernel to kernel.
func (v *visit) relay(res *http.Response) error {
	live := res.ContentLength < 0 || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream")
	if whole, ok := res.Body.(*reply); ok && !live && res.ContentLength > 0 {
		return whole.pass(&v.w, res.ContentLength)
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	if live {
		v.w.FlushError() //nolint:errcheck // the first write meets the same error
	}
	for {
		n, err := res.Body.Read(buf[:])
		if n > 0 {
			if _, err := v.w.Write(buf[:n]); err != nil {
				return err
			}
			if live {
				v.w.FlushError() //nolint:errcheck // the next write meets the same error
			}
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

const bufferSize = 32 << 10

// buffers are what answers pass through that are not spliced.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// early passes answers of the kind "wait, there is more" on, until the final one has come. net/http calls it from a
// goroutine of its own.
type early struct {
	to   *recorder
	mu   sync.Mutex
	said int
	over bool
}

// maxEarly is how many such answers a request may get. One that gets more would wait for ever: neither net/http nor
// Limits.FirstByte ends it, as each of them is a sign of life.
const maxEarly = 32

var errEarly = fmt.Errorf("more than %d interim answers", maxEarly)

func (e *early) say(status int, said http.Header) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return nil
	}
	if e.said++; e.said > maxEarly {
		return errEarly
	}
	h := e.to.Header()
	maps.Copy(h, said)
	e.to.WriteHeader(status)
	clear(h) // they are not the final answer's
	return nil
}

func (e *early) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
}
