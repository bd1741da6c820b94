package proxy

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// hostile serves connections that answer every request with what say returns for it.
func (w *world) hostile(name string, say func(*http.Request) string) *tenant {
	return w.raw(name, func(conn net.Conn) {
		br := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			io.WriteString(conn, say(req))
		}
	})
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// poisoned is an answer that nobody has asked for.
const poisoned = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"

func TestAnAnswerNobodyAskedForReachesNobody(t *testing.T) {
	for name, said := range map[string]string{
		"behind another":            fine + poisoned,
		"in the place of a body":    "HTTP/1.1 204 No Content\r\nContent-Length: 50\r\n\r\n" + poisoned,
		"behind a short body":       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok" + poisoned,
		"behind the last chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + poisoned,
		"behind a not modified one": "HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n" + poisoned,
		"as the body of a HEAD":     "HEAD",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.hostile("blog", func(r *http.Request) string {
				switch {
				case r.URL.Path != "/first":
					return fine
				case said == "HEAD":
					return poisoned
				}
				return said
			})
			method := "GET"
			if said == "HEAD" {
				method = "HEAD"
			}
			for range 5 {
				w.do(method, "http://blog.test/first", nil)
				same(t, "the next answer", w.do("GET", "http://blog.test/next", nil).body, "ok")
			}
		})
	}
	t.Run("late, while the connection rests", func(t *testing.T) {
		w := newWorld(t, nil)
		now := make(chan bool)
		blog := w.raw("blog", func(conn net.Conn) {
			br := bufio.NewReader(conn)
			for {
				if _, err := http.ReadRequest(br); err != nil {
					return
				}
				io.WriteString(conn, fine)
				if <-now {
					io.WriteString(conn, poisoned)
				}
			}
		})
		w.do("GET", "http://blog.test/", nil)
		resting := func() []rested {
			i := &w.proxy.ups.of(blog.row.ID).route.Load().idle
			i.mu.Lock()
			defer i.mu.Unlock()
			return i.all
		}
		eventually(t, "the connection rests", func() bool { return len(resting()) == 1 })
		now <- true
		eventually(t, "the site has spoken", func() bool { return !resting()[0].conn.silent() })
		go func() { now <- false }()
		same(t, "the next answer", w.do("GET", "http://blog.test/", nil).body, "ok")
	})
}

func TestASiteThatNeverEndsItsHeaderIsGivenUp(t *testing.T) {
	drip := func(conn net.Conn, said string) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(conn, said); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	t.Run("drop by drop", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Limits.FirstByte = 50 * time.Millisecond })
		blog := w.raw("blog", func(conn net.Conn) { drip(conn, "X") })
		same(t, "status", w.do("GET", "http://blog.test/", nil).StatusCode, 504)
		eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
	})
	t.Run("in floods", func(t *testing.T) {
		w := newWorld(t, nil)
		w.raw("blog", func(conn net.Conn) { drip(conn, strings.Repeat("X-A: aaaa\r\n", 1000)) })
		same(t, "status", w.do("GET", "http://blog.test/", nil).StatusCode, 502)
	})
}

func TestASiteThatNeverComesToItsAnswerIsGivenUp(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t, nil)
			w.raw("blog", func(conn net.Conn) {
				http.ReadRequest(bufio.NewReader(conn))
				for {
					if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"); err != nil {
						return
					}
				}
			})
			conn := w.connect(t)
			fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: blog.test\r\nContent-Length: 0\r\n\r\n", method)
			br := bufio.NewReader(conn)
			for hints := 0; ; hints++ {
				res, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != http.StatusEarlyHints {
					same(t, "status", res.StatusCode, 502)
					break
				}
				if hints > maxAnswer {
					t.Fatal("there is no end to it")
				}
			}
		})
	}
}

func TestAStatusThatDoesNotExistIsTheSitesFailure(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		for _, status := range []string{"000", "099"} {
			t.Run(method+" "+status, func(t *testing.T) {
				w := newWorld(t, nil)
				w.hostile("blog", func(*http.Request) string {
					return "HTTP/1.1 " + status + " Nothing\r\nContent-Length: 2\r\n\r\nok"
				})
				same(t, "status", w.do(method, "http://blog.test/", nil).StatusCode, 502)
				if strings.Contains(w.log.String(), "panicked") {
					t.Error("a visit panicked")
				}
			})
		}
	}
}

func TestASiteCannotWriteLinesOfTheDoorsOwn(t *testing.T) {
	for name, header := range map[string]string{
		"bare CR": "X-A: b\rX-Injected: c\r\n",
		"fold":    "X-A: b\r\n X-Injected: c\r\n",
		"NUL":     "X-A: b\x00X-Injected: c\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.hostile("blog", func(*http.Request) string { return "HTTP/1.1 200 OK\r\n" + header + "Content-Length: 2\r\n\r\nok" })
			conn := w.connect(t)
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: blog.test\r\nConnection: close\r\n\r\n")
			all, _ := io.ReadAll(conn)
			for line := range strings.SplitSeq(strings.ReplaceAll(string(all), "\r", "\n"), "\n") {
				if strings.HasPrefix(line, "X-Injected") {
					t.Errorf("%q", all)
				}
			}
		})
	}
}

func TestBodiesOfEverySizeArriveWhole(t *testing.T) {
	w := newWorld(t, nil)
	data := make([]byte, 3*piece+12345)
	rand.Read(data)
	w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		http.ServeContent(rw, r, "x.bin", time.Time{}, bytes.NewReader(data))
	})
	overTLS := httptest.NewUnstartedServer(w.proxy)
	overTLS.EnableHTTP2 = true
	overTLS.StartTLS()
	defer overTLS.Close()
	h2 := overTLS.Client()
	h2.Transport.(*http.Transport).TLSClientConfig.ServerName = "blog.test"
	h2.Transport.(*http.Transport).TLSClientConfig.VerifyConnection = func(tls.ConnectionState) error { return nil }
	h2.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true

	for _, c := range []struct{ from, to int }{{0, 1}, {0, inSize}, {1, piece}, {0, piece + 1}, {5, len(data)}, {0, len(data)}} {
		span := fmt.Sprintf("bytes=%d-%d", c.from, c.to-1)
		res := w.do("GET", "http://blog.test/", nil, "Range", span)
		same(t, span, res.StatusCode, 206)
		same(t, span+" is what was asked for", res.body == string(data[c.from:c.to]), true)

		req, _ := http.NewRequest("GET", overTLS.URL, nil)
		req.Host = "blog.test"
		req.Header.Set("Range", span)
		second, err := h2.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "protocol", second.ProtoMajor, 2)
		body, _ := io.ReadAll(second.Body)
		second.Body.Close()
		same(t, span+" over HTTP/2", string(body) == string(data[c.from:c.to]), true)
	}
	eventually(t, "the log counts them", func() bool { return strings.Contains(w.log.String(), fmt.Sprintf(`"n":%d`, len(data))) })
}

func TestAnAnswerThatBreaksOffLooksBroken(t *testing.T) {
	w := newWorld(t, nil)
	w.raw("blog", func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 2*piece))
	})
	res, err := w.http.Get("http://blog.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	end := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(res.Body)
		end <- err
	}()
	select {
	case err := <-end:
		if err == nil {
			t.Error("it looks whole")
		}
	case <-time.After(time.Minute):
		t.Fatal("the visitor still waits for the rest") // as when the end of the site's connection is not noticed
	}
}

func TestAnOldClientGetsAnAnswerItUnderstands(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", func(rw http.ResponseWriter, _ *http.Request) {
		rw.(http.Flusher).Flush() // so that the site's own answer is chunked
		io.WriteString(rw, "hello")
	})
	conn := w.connect(t)
	io.WriteString(conn, "GET / HTTP/1.0\r\nHost: blog.test\r\n\r\n")
	all, err := io.ReadAll(conn) // ends with the connection
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	same(t, "body", body, "hello")
	if strings.Contains(head, "chunked") {
		t.Errorf("HTTP/1.0 knows no chunks: %s", head)
	}
}

func TestAVisitorWhoNeverEndsTheHeaderIsCutOff(t *testing.T) {
	w := newWorld(t, nil)
	if w.srv.Config.ReadHeaderTimeout == 0 || w.srv.Config.IdleTimeout == 0 {
		t.Fatal("the server waits for ever")
	}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = Server(w.proxy, w.proxy.log)
	srv.Config.ReadHeaderTimeout = 50 * time.Millisecond
	srv.Start()
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		for _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: blog.test\r\nX: "); err == nil; {
			_, err = io.WriteString(conn, "y")
			time.Sleep(time.Millisecond)
		}
	}()
	io.Copy(io.Discard, conn) // until the door hangs up
}
