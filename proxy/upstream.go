package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"petitpont/site"
)

const (
	dialTimeout  = 5 * time.Second
	idleConns    = 64               // kept per site
	idleTimeout  = 30 * time.Second // shorter than the keep-alive of any server in the template
	maxAnswer    = 128 << 10        // bytes of response headers
	continueWait = time.Second      // for a site to say 100 before we ask the visitor for the body
)

// upstream is what we hold of one site: its connections and its counts. It is keyed by the site's ID, never by its
// address, because addresses follow slots and slots are used again: a connection of a deleted site must not serve its
// successor.
type upstream struct {
	id     site.ID
	limits *Limits
	held   atomic.Int64 // requests waiting in Enter
	open   atomic.Int64 // requests in here, held ones included
	used   atomic.Int64 // unix seconds of the last request
	route  atomic.Pointer[route]
}

// route is the way to one address of a site. It is replaced when the site shows up at another one.
type route struct {
	addr   netip.AddrPort
	limits *Limits
	idle
	once *http.Transport // a connection for each request
}

// to returns the way to addr and closes what led elsewhere.
func (u *upstream) to(addr netip.AddrPort) *route {
	for {
		old := u.route.Load()
		if old != nil && old.addr == addr {
			return old
		}
		fresh := newRoute(addr, u.limits)
		if u.route.CompareAndSwap(old, fresh) {
			old.close()
			return fresh
		}
	}
}

// rest closes the idle connections and forgets the address: the site sleeps, or is gone.
func (u *upstream) rest() { u.route.Swap(nil).close() }

func newRoute(addr netip.AddrPort, limits *Limits) *route {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSite(ctx, addr, limits.Stream) }
	return &route{addr: addr, limits: limits, once: &http.Transport{
		Proxy:                  nil, // never from the environment (RULE PROXY)
		DialContext:            dial,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		ResponseHeaderTimeout:  limits.FirstByte,
		ExpectContinueTimeout:  continueWait,
		MaxResponseHeaderBytes: maxAnswer,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         16 << 10,
	}}
}

func (r *route) close() {
	if r != nil {
		r.empty(true)
	}
}

// send sends req to the site. What can be sent again travels on connections that are used again: when one turns
// out to be dead, the request is sent a second time, on a new one. Everything else, a POST above all, gets a
// connection of its own: it can neither fail on a stale one nor be seen twice (R37, R39).
func (r *route) send(req *http.Request, e *early) (*http.Response, error) {
	if replayable(req) {
		return r.exchange(req, e)
	}
	trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		return e.say(status, http.Header(h))
	}}
	return r.once.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
}

// replayable tells whether a request may be sent a second time: it has no body and changes nothing.
func replayable(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return (req.Body == nil || req.Body == http.NoBody) && req.Header.Get("Upgrade") == ""
	}
	return false
}

// dialSite is given the address that Enter named: nothing here asks DNS (RULE PROXY, S32).
func dialSite(ctx context.Context, addr netip.AddrPort, stream time.Duration) (*streamConn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return &streamConn{Conn: conn, limit: stream}, nil
}

// streamConn ends a connection on which nothing has moved in either direction for its limit (1 h by default), so that a
// forgotten stream does not keep a site awake for ever.
type streamConn struct {
	net.Conn
	limit time.Duration
	set   atomic.Int64 // unix nanoseconds of the last touch
}

// touch moves the deadline, at most eight times per limit: a clock is cheaper than a timer.
func (c *streamConn) touch() {
	now := time.Now()
	if last := c.set.Load(); now.UnixNano()-last > int64(c.limit/8) && c.set.CompareAndSwap(last, now.UnixNano()) {
		c.SetReadDeadline(now.Add(c.limit)) // a closed connection says so at the next read
	}
}

// within gives reads and writes so long from now, whatever the limit says.
func (c *streamConn) within(d time.Duration) {
	now := time.Now()
	c.set.Store(now.UnixNano())
	c.SetDeadline(now.Add(d)) // a closed connection says so at the next read
}

func (c *streamConn) Read(b []byte) (int, error) {
	c.touch()
	return c.Conn.Read(b)
}

func (c *streamConn) Write(b []byte) (int, error) {
	c.touch()
	return c.Conn.Write(b)
}

// CloseWrite lets a tunnel pass the end of one direction on.
func (c *streamConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// upstreams is every site visited lately.
type upstreams struct {
	limits *Limits
	now    func() time.Time
	all    sync.Map // site.ID -> *upstream
	swept  atomic.Int64
}

// forget is how long a site without visits stays in the table.
const forget = 60 // seconds

// of returns the site's upstream, and now and then forgets those that nobody visits.
func (s *upstreams) of(id site.ID) *upstream {
	now := s.now().Unix()
	found, ok := s.all.Load(id)
	if !ok {
		s.sweep(now)
		fresh := &upstream{id: id, limits: s.limits}
		fresh.used.Store(now)
		found, _ = s.all.LoadOrStore(id, fresh)
	}
	u := found.(*upstream)
	u.used.Store(now)
	return u
}

// sweep forgets sites without a visit for a while, so that deleted ones do not stay. A request that comes in between
// keeps its upstream and merely counts on its own.
func (s *upstreams) sweep(now int64) {
	last := s.swept.Load()
	if now-last < forget || !s.swept.CompareAndSwap(last, now) {
		return
	}
	s.all.Range(func(key, value any) bool {
		if u := value.(*upstream); u.open.Load() == 0 && now-u.used.Load() > forget {
			s.drop(key.(site.ID))
		}
		return true
	})
}

// drop closes the idle connections of a site and forgets it.
func (s *upstreams) drop(id site.ID) {
	if found, ok := s.all.LoadAndDelete(id); ok {
		found.(*upstream).rest()
	}
}

// each calls f for every site.
func (s *upstreams) each(f func(*upstream)) {
	s.all.Range(func(_, value any) bool {
		f(value.(*upstream))
		return true
	})
}
