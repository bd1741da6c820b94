package app_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"petitpont/app"
	"petitpont/app/apptest"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// panel is a panel over sites in memory, with a clock a test moves.
type panel struct {
	t     *testing.T
	app   *app.App
	sites *apptest.Sites
	store *memstore.MemStore
	url   string
	log   *lines

	mu  sync.Mutex
	now time.Time
}

func newPanel(t *testing.T, change ...func(*app.Config)) *panel {
	t.Helper()
	p := &panel{t: t, sites: apptest.New(), store: memstore.NewWithCleanupInterval(0), log: &lines{}}
	p.now = time.Date(2026, 11, 20, 9, 12, 0, 0, time.UTC)
	p.sites.Now = p.clock
	sessions := scs.New()
	sessions.Store = p.store
	c := app.Config{
		Sites: p.sites, Sessions: sessions, School: "Polytech Lille", Version: "test", Now: p.clock,
		SiteURL: func(name string) string { return "http://" + name + ".localhost:8080/" },
		SFTP:    app.SFTP{Host: "localhost", Port: 2222, Fingerprint: "SHA256:abc"},
		Log:     slog.New(slog.NewTextHandler(p.log, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	p.app = app.New(c)
	server := httptest.NewServer(p.app)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *panel) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *panel) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// lines is a log a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// browser is a reader who follows no redirect by himself, so that a test sees each answer.
type browser struct {
	*panel
	client *http.Client
}

func (p *panel) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{p, &http.Client{Jar: jar, CheckRedirect: stay}}
}

// signedIn is a browser in which somebody has signed in.
func (p *panel) signedIn(login string) *browser {
	p.t.Helper()
	b := p.browser()
	if a := b.post("/login", "login", login, "password", "petitpont"); a.code != http.StatusSeeOther {
		p.t.Fatalf("sign in as %s: %d\n%s", login, a.code, a.body)
	}
	return b
}

type answer struct {
	code int
	body string
	http.Header
}

// request is what do sends; header and form are pairs.
type request struct {
	method, path string
	header       []string
	form         []string
}

func (b *browser) do(r request) answer {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(r.form); i += 2 {
		form.Set(r.form[i], r.form[i+1])
	}
	req, err := http.NewRequest(r.method, b.url+r.path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", "en")
	if r.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(r.header); i += 2 {
		req.Header.Set(r.header[i], r.header[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, string(body), res.Header}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(request{method: http.MethodGet, path: path})
}

func (b *browser) post(path string, form ...string) answer {
	b.t.Helper()
	return b.do(request{method: http.MethodPost, path: path, form: form})
}

// part asks as htmx does, for a part of the page it stands on.
func (b *browser) part(method, path, standing string, form ...string) answer {
	b.t.Helper()
	return b.do(request{method: method, path: path, form: form, header: []string{
		"HX-Request", "true", "HX-Request-Type", "partial", "HX-Current-URL", b.url + standing,
	}})
}

// cookie is the value of a cookie the browser holds.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.url)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (a answer) want(t *testing.T, code int, texts ...string) answer {
	t.Helper()
	if a.code != code {
		t.Fatalf("status %d, want %d\n%s", a.code, code, a.body)
	}
	for _, s := range texts {
		if !strings.Contains(a.body, s) {
			t.Errorf("page lacks %q:\n%s", s, a.body)
		}
	}
	return a
}

func (a answer) lacks(t *testing.T, texts ...string) answer {
	t.Helper()
	for _, s := range texts {
		if strings.Contains(a.body, s) {
			t.Errorf("page has %q:\n%s", s, a.body)
		}
	}
	return a
}

func (a answer) goesTo(t *testing.T, to string) answer {
	t.Helper()
	if a.code != http.StatusSeeOther || a.Get("Location") != to {
		t.Fatalf("answer %d to %q, want 303 to %q\n%s", a.code, a.Get("Location"), to, a.body)
	}
	return a
}
