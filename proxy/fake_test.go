package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"petitpont/site"
)

// heart is a site.Service in memory: sites by host, each awake or woken once for everybody.
type heart struct {
	mu    sync.Mutex
	sites map[string]*tenant
}

// tenant is one site of the fake heart.
type tenant struct {
	row    site.Site
	addr   netip.AddrPort
	refuse error         // what Enter says
	rise   chan struct{} // closed when the wake may end; nil is awake at once

	wake   sync.Once
	up     chan struct{}
	starts atomic.Int64
	inside atomic.Int64 // in flight
	calls  atomic.Int64 // of Enter
}

func newHeart() *heart { return &heart{sites: map[string]*tenant{}} }

// add gives name.test an upstream and an awake site.
func (h *heart) add(name string, addr netip.AddrPort) *tenant {
	t := &tenant{addr: addr, up: make(chan struct{}), row: site.Site{ID: site.ID(name + "id"), Name: name, State: site.Awake}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sites[name+".test"] = t
	return t
}

// asleep makes the site sleep until rise is closed.
func (t *tenant) asleep() *tenant {
	t.row.State, t.rise = site.Asleep, make(chan struct{})
	return t
}

func (h *heart) Route(host string) (site.Site, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.sites[host]
	if !ok {
		return site.Site{}, false
	}
	return t.row, true
}

func (h *heart) find(id site.ID) *tenant {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.sites {
		if t.row.ID == id {
			return t
		}
	}
	return nil
}

func (h *heart) Enter(ctx context.Context, id site.ID) (netip.AddrPort, func(), error) {
	t := h.find(id)
	t.calls.Add(1)
	if t.rise != nil {
		t.wake.Do(func() {
			t.starts.Add(1)
			go func() { <-t.rise; close(t.up) }()
		})
		if err := t.await(ctx); err != nil {
			return netip.AddrPort{}, nil, err
		}
	}
	if t.refuse != nil {
		return netip.AddrPort{}, nil, t.refuse
	}
	t.inside.Add(1)
	var once sync.Once
	return t.addr, func() { once.Do(func() { t.inside.Add(-1) }) }, nil
}

// await returns when the site is up. One that is up is entered, however little time is left.
func (t *tenant) await(ctx context.Context) error {
	select {
	case <-t.up:
		return nil
	default:
	}
	select {
	case <-t.up:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("enter: %w", ctx.Err())
	}
}

// world is a door in front of a fake heart, reached over real connections.
type world struct {
	*heart
	t     *testing.T
	proxy *Proxy
	srv   *httptest.Server
	log   *lockedBuffer
	http  *http.Client
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{heart: newHeart(), t: t, log: new(lockedBuffer)}
	c := Config{
		Sites:    w.heart,
		PanelURL: "https://panel.example",
		Log:      slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	c.Journal = w.log
	if change != nil {
		change(&c)
	}
	w.proxy = New(c)
	w.srv = httptest.NewUnstartedServer(nil)
	w.srv.Config = Server(w.proxy, c.Log)
	w.srv.Start()
	w.http = &http.Client{
		Transport:     &http.Transport{DialContext: w.dial, MaxIdleConnsPerHost: 200, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		w.srv.Close()
		w.proxy.Close()
	})
	return w
}

// dial leads every name to the door.
func (w *world) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", w.srv.Listener.Addr().String())
}

// site adds an awake site served by h.
func (w *world) site(name string, h http.HandlerFunc) *tenant {
	srv := httptest.NewServer(h)
	w.t.Cleanup(srv.Close)
	return w.add(name, netip.MustParseAddrPort(srv.Listener.Addr().String()))
}

// raw adds an awake site served by a function per connection.
func (w *world) raw(name string, serve func(net.Conn)) *tenant {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); serve(conn) }()
		}
	}()
	return w.add(name, netip.MustParseAddrPort(l.Addr().String()))
}

type answer struct {
	*http.Response
	body string
}

// do sends a request and reads the whole answer. Headers are key, value.
func (w *world) do(method, url string, body io.Reader, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res, string(got)}
}

// browser is get with the headers of a browser that opens a page.
func (w *world) browser(url string, headers ...string) answer {
	w.t.Helper()
	return w.do("GET", url, nil, append([]string{
		"Accept", "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode", "navigate",
	}, headers...)...)
}

// eventually waits for a fact.
func eventually(t *testing.T, fact string, true_ func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !true_() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", fact)
		}
		time.Sleep(time.Millisecond)
	}
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) Line(_ site.ID, line []byte) { _, _ = l.Write(line) }

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
