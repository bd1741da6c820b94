package template_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"petitpont/runtime"
	"petitpont/runtime/unshare/template"
)

// school is an HTTP proxy as schools have them, which remembers whom it was asked for.
type school struct {
	*httptest.Server
	mu    sync.Mutex
	hosts []string
}

func newSchool(t *testing.T) *school {
	s := &school{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.relay))
	t.Cleanup(s.Close)
	return s
}

func (s *school) relay(w http.ResponseWriter, q *http.Request) {
	s.mu.Lock()
	if host := q.Host; !slices.Contains(s.hosts, host) {
		s.hosts = append(s.hosts, host)
	}
	s.mu.Unlock()
	if q.Method == http.MethodConnect {
		tunnel(w, q.Host)
		return
	}
	out := q.Clone(q.Context())
	out.RequestURI = ""
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = res.Body.Close() }()
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body)
}

func tunnel(w http.ResponseWriter, host string) {
	far, err := net.Dial("tcp", host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	near, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = far.Close()
		return
	}
	go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
	_, _ = io.Copy(near, far)
	_ = near.Close()
}

func (s *school) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hosts)
}

// TestABuildGoesThroughTheSchoolsProxy builds once through it (R86), and once with a mirror inside the school, which the
// proxy must not be asked for (R87).
func TestABuildGoesThroughTheSchoolsProxy(t *testing.T) {
	t.Setenv("no_proxy", "10.0.0.0/8") // curl takes this for a name, and apt as well
	proxy := newSchool(t)
	o := template.Options{Dir: filepath.Join(t.TempDir(), "templates"), Proxy: proxy.URL}
	if _, err := template.Build(context.Background(), bare(), o); err != nil {
		t.Fatal(err)
	}
	hosts := proxy.asked()
	if len(hosts) == 0 {
		t.Fatal("the proxy was not asked")
	}
	inside := newSchool(t) // stands for a mirror in the school: it passes on what it is asked for as its own
	archive := hosts[0]
	mirror := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		q.URL.Scheme, q.URL.Host, q.Host = "http", archive, archive
		inside.relay(w, q)
	})
	for name, c := range map[string]struct {
		host, direct string
		through      bool
	}{
		"loopback needs no mention": {"127.0.0.1", "", false},
		"a host that is named":      {"127.0.0.2", "intranet.example, 127.0.0.2", false},
		"a host that is not":        {"127.0.0.2", "intranet.example", true},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := newSchool(t)
			l, err := net.Listen("tcp", c.host+":0")
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: mirror}
			go func() { _ = server.Serve(l) }()
			defer func() { _ = server.Close() }()
			o := template.Options{
				Dir: filepath.Join(t.TempDir(), "templates"), Proxy: proxy.URL, Direct: c.direct,
				Mirror: "http://" + l.Addr().String() + "/debian",
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			o.Progress = func(b runtime.Build) { // the lists say enough
				if b.Step == runtime.BuildDownload {
					cancel()
				}
			}
			_, err = template.Build(ctx, bare(), o)
			if asked := len(proxy.asked()) > 0; asked != c.through {
				t.Errorf("asked through the proxy: %v, want %v (%v)", proxy.asked(), c.through, err)
			}
			if len(inside.asked()) == 0 {
				t.Errorf("the mirror was not asked: %v", err)
			}
		})
	}
}
