package proxy

import (
	"context"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// idle is the connections into one site that nobody uses at the moment, the one used last on top: so few are kept warm
// rather than many lukewarm. The zero value is empty and open.
type idle struct {
	mu     sync.Mutex
	all    []rested
	timer  *time.Timer // ends those that have rested too long; nil while there are none
	closed bool
}

// rested is an exchange that has rested since.
type rested struct {
	*exchange
	since time.Time
}

// take returns the exchange used last, or nil. One on which something has happened meanwhile is closed: the site has
// hung up, or speaks without being asked, and that must not become the next visitor's answer.
func (i *idle) take() *exchange {
	for {
		i.mu.Lock()
		n := len(i.all)
		if n == 0 {
			i.mu.Unlock()
			return nil
		}
		x := i.all[n-1].exchange
		i.all[n-1] = rested{}
		i.all = i.all[:n-1]
		i.mu.Unlock()
		if x.conn.silent() {
			return x
		}
		x.conn.Close()
	}
}

// put keeps x for the next request, if there is room.
func (i *idle) put(x *exchange) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || len(i.all) >= idleConns {
		x.conn.Close()
		return
	}
	i.all = append(i.all, rested{x, time.Now()})
	if i.timer == nil {
		i.timer = time.AfterFunc(idleTimeout, i.expire)
	}
}

// expire closes what has rested too long, and comes again for the rest.
func (i *idle) expire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for n < len(i.all) && time.Since(i.all[n].since) >= idleTimeout {
		i.all[n].conn.Close()
		n++
	}
	i.all = append(i.all[:0], i.all[n:]...)
	clear(i.all[len(i.all) : len(i.all)+n])
	i.timer = nil
	if len(i.all) > 0 {
		i.timer = time.AfterFunc(idleTimeout-time.Since(i.all[0].since), i.expire)
	}
}

// empty closes what is idle. After an empty for good nothing is kept any more.
func (i *idle) empty(forGood bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = i.closed || forGood
	for _, r := range i.all {
		r.conn.Close()
	}
	clear(i.all)
	i.all = i.all[:0]
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
}

// exchange sends req on an idle connection, or on a new one. When an idle one turns out to be dead, the others are
// as well: then a new one is dialled, so that the second time is also the last.
func (r *route) exchange(req *http.Request, e *early) (*http.Response, error) {
	if x := r.take(); x != nil {
		res, err := x.do(req, e, r)
		if err == nil || x.heard || isTimeout(err) || req.Context().Err() != nil {
			return res, err
		}
		r.empty(false)
	}
	x, err := r.dial(req.Context())
	if err != nil {
		return nil, err
	}
	return x.do(req, e, r)
}

func (r *route) dial(ctx context.Context) (*exchange, error) {
	conn, err := dialSite(ctx, r.addr, r.limits.Stream)
	if err != nil {
		return nil, err
	}
	return newExchange(conn), nil
}

// silent tells whether there is neither anything to read nor an end to see, without waiting.
func (c *streamConn) silent() bool {
	raw, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	sys, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = sys.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN
	})
	return err == nil && quiet
}
