// Package proxy is the public door: every visitor of every site comes through it.
//
//	visitor ── net/http ── hygiene ── Route(host) ── Enter(site) ── forward ── the site's own web server
//	                          │            │              │             │
//	                         400       no such site   waking, stopped  down, slow        pages, page.go
//
// One parser reads a request and one writer writes it anew (RULE PROXY): what the site gets was never the visitor's
// bytes. The host is brought to one form once and looked up in memory; the address to dial comes from Enter alone.
// The site's Service does the waking, once for everybody; here requests only wait for it, bodies unread.
package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"petitpont/site"
)

// Sites is what the door asks of the heart.
type Sites interface {
	// Route finds the site of a canonical host, from memory.
	Route(host string) (site.Site, bool)
	// Enter wakes the site if it sleeps, waits until it answers, and counts a use of it until leave is called.
	// A ctx that ends gives up the waiting, not the waking.
	Enter(ctx context.Context, id site.ID) (addr netip.AddrPort, leave func(), err error)
}

// Lines takes a line about a visit of a site, ended by a line feed. It must not wait.
type Lines interface {
	Line(id site.ID, line []byte)
}

// Config is what a Proxy needs. Sites and Log are required.
type Config struct {
	Sites    Sites
	PanelURL string         // https://panel.example, without slash at the end; "" shows no link for owners
	Trusted  []netip.Prefix // proxies in front of us whose X-Forwarded-* are believed
	Log      *slog.Logger
	Journal  Lines            // one line per visit of a site, see Journal; nil writes none
	Now      func() time.Time // nil is time.Now
	Limits   Limits
}

// Limits bound what visitors can make us hold (RULE FAIR). A zero field takes its default.
type Limits struct {
	Held      int64         // requests waiting for one site to wake, 256
	HeldAll   int64         // requests waiting for any site to wake, 2,000
	Open      int64         // requests in one site at once, waiting ones and tunnels included, 1,024
	Page      time.Duration // a browser waits so long before it gets the waking page, 3 s
	Wake      time.Duration // everybody else waits so long for a site to wake, 60 s
	Poll      time.Duration // the waking page asks again after so long, 25 s
	FirstByte time.Duration // from the end of the request to the first byte of the answer, 60 s
	Stall     time.Duration // a visitor who neither sends nor takes a byte of a body for so long is cut off, 60 s
	Stream    time.Duration // a connection into a site on which nothing moves for so long is closed, 1 h
	Body      int64         // bytes of one upload, 1 GiB
}

func (l Limits) orDefaults() Limits {
	count := func(field *int64, otherwise int64) {
		if *field == 0 {
			*field = otherwise
		}
	}
	wait := func(field *time.Duration, otherwise time.Duration) {
		if *field == 0 {
			*field = otherwise
		}
	}
	count(&l.Held, 256)
	count(&l.HeldAll, 2000)
	count(&l.Open, 1024)
	count(&l.Body, 1<<30)
	wait(&l.Page, 3*time.Second)
	wait(&l.Wake, time.Minute)
	wait(&l.Poll, 25*time.Second)
	wait(&l.FirstByte, time.Minute)
	wait(&l.Stall, time.Minute)
	wait(&l.Stream, time.Hour)
	return l
}

// Proxy is the door. It is an http.Handler, safe for use by many goroutines.
type Proxy struct {
	sites   Sites
	panel   string
	trusted []netip.Prefix
	log     *slog.Logger
	journal Lines
	now     func() time.Time
	limits  Limits
	ups     upstreams
	held    atomic.Int64
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	tunnels sync.WaitGroup
}

var _ http.Handler = (*Proxy)(nil)

// New makes a door. It starts nothing.
func New(c Config) *Proxy {
	p := &Proxy{
		sites:   c.Sites,
		panel:   strings.TrimSuffix(c.PanelURL, "/"),
		trusted: c.Trusted,
		log:     c.Log,
		journal: c.Journal,
		now:     c.Now,
		limits:  c.Limits.orDefaults(),
	}
	if p.now == nil {
		p.now = time.Now
	}
	p.ups.limits, p.ups.now = &p.limits, p.now
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Rest closes the idle connections into a site. Whoever puts a site to sleep, stops or deletes it calls this; a
// request that comes later dials anew.
func (p *Proxy) Rest(id site.ID) { p.ups.drop(id) }

// Close ends what http.Server.Shutdown does not know of: tunnels, requests that wait for a site to wake, and idle
// connections into sites. Requests that are being answered go on. It returns when the tunnels have ended.
func (p *Proxy) Close() error {
	p.cancel()
	p.tunnels.Wait()
	p.ups.each((*upstream).rest)
	return nil
}

// ServeHTTP answers one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := p.visit(w, r)
	defer v.end()
	if !v.proper() {
		return
	}
	if rest, ours := strings.CutPrefix(r.URL.Path, "/.well-known/"); ours && v.wellKnown(rest) {
		return
	}
	found, ok := p.sites.Route(v.host)
	if !ok {
		v.show(pageUnknown)
		return
	}
	v.site, v.up = found, p.ups.of(found.ID)
	if v.enter() {
		defer v.exit()
		v.forward()
	}
}

// wellKnown answers the paths that belong to the platform on every host, and tells whether it did.
func (v *visit) wellKnown(rest string) bool {
	switch {
	case rest == "petitpont/wake":
		v.wake()
	case strings.HasPrefix(rest, "petitpont/"), strings.HasPrefix(rest, "acme-challenge/"):
		v.show(pageNothing)
	default:
		return false
	}
	return true
}
