package proxy

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"petitpont/site"
)

// quick is a site that answers with a kilobyte, as cheaply as a goroutine can.
func quick(b *testing.B) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	said := []byte("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for buf := make([]byte, 4096); ; {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := conn.Write(said); err != nil {
						return
					}
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

type nowhere struct{}

func (nowhere) Line(site.ID, []byte) {}

// BenchmarkWarm is a request to a site that is awake, without the visitor's connection.
func BenchmarkWarm(b *testing.B) {
	h := newHeart()
	h.add("blog", quick(b))
	p := New(Config{Sites: h, Log: slog.New(slog.DiscardHandler), Journal: nowhere{}})
	b.Cleanup(func() { p.Close() })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("GET", "http://blog.test/a?b=c", nil)
			r.RequestURI, r.URL.Host, r.URL.Scheme, r.Host = "/a?b=c", "", "", "blog.test"
			w := httptest.NewRecorder()
			if p.ServeHTTP(w, r); w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	})
}

// BenchmarkEnter is what the door itself adds before and after the forwarding.
func BenchmarkEnter(b *testing.B) {
	h := newHeart()
	h.add("blog", netip.MustParseAddrPort("127.0.0.1:1"))
	p := New(Config{Sites: h, Log: slog.New(slog.DiscardHandler)})
	r := httptest.NewRequest("GET", "http://blog.test/", nil)
	r.RequestURI, r.URL.Host, r.URL.Scheme = "/", "", ""
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		v := p.visit(w, r)
		if !v.proper() {
			b.Fatal("refused")
		}
		v.site, _ = p.sites.Route(v.host)
		v.up = p.ups.of(v.site.ID)
		if !v.enter() {
			b.Fatal("not entered")
		}
		v.exit()
	}
}
