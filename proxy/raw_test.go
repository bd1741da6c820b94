package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// connect opens a plain connection to the door.
func (w *world) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// talk sends bytes and returns the status lines that come back until the door hangs up, or for half a second: a door
// that waits for the rest of a request says nothing.
func (w *world) talk(t *testing.T, said string) (statuses []int) {
	t.Helper()
	conn := w.connect(t)
	conn.SetReadDeadline(time.Now().Add(time.Second / 2))
	io.WriteString(conn, said)
	br := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return statuses
		}
		io.Copy(io.Discard, res.Body)
		statuses = append(statuses, res.StatusCode)
	}
}

// send sends bytes and returns the beginning of the first answer; its connection ends with the test.
func (w *world) send(t *testing.T, said string) *http.Response {
	t.Helper()
	conn := w.connect(t)
	io.WriteString(conn, said)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.80q: %v", said, err)
	}
	return res
}

// ask is send for those who want the status only.
func (w *world) ask(t *testing.T, said string) int {
	t.Helper()
	res := w.send(t, said)
	res.Body.Close()
	return res.StatusCode
}

// say is send for those who want the whole answer.
func (w *world) say(t *testing.T, said string) answer {
	t.Helper()
	res := w.send(t, said)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%.80q: %v", said, err)
	}
	return answer{res, string(body)}
}

// smuggled is what a second request inside a first one looks like.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: blog.test\r\n\r\n"

// S57: requests that two parsers may read differently. The site may see the first request or nothing; the one inside
// it, never.
func TestNoRequestIsSmuggledInAnother(t *testing.T) {
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	const chunked = "Transfer-Encoding: chunked\r\n"
	head := "POST /first HTTP/1.1\r\nHost: blog.test\r\n"
	corpus := map[string]string{
		"CL.TE":                        head + length(5+len(smuggled)) + chunked + "\r\n0\r\n\r\n" + smuggled,
		"TE.CL":                        head + chunked + length(4) + "\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
		"two lengths":                  head + length(0) + length(len(smuggled)) + "\r\n" + smuggled,
		"length list":                  head + "Content-Length: 0, " + fmt.Sprint(len(smuggled)) + "\r\n\r\n" + smuggled,
		"length with sign":             head + "Content-Length: +" + fmt.Sprint(len(smuggled)) + "\r\n\r\n" + smuggled,
		"length in hex":                head + "Content-Length: 0x10\r\n\r\n" + smuggled,
		"negative length":              head + "Content-Length: -1\r\n\r\n" + smuggled,
		"length, space before colon":   head + "Content-Length : " + fmt.Sprint(len(smuggled)) + "\r\n\r\n" + smuggled,
		"TE, space before colon":       head + "Transfer-Encoding : chunked\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"TE with tab":                  head + "Transfer-Encoding:\tchunked\r\n" + length(4) + "\r\n0\r\n\r\n" + smuggled,
		"TE xchunked":                  head + "Transfer-Encoding: xchunked\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"TE chunked, identity":         head + "Transfer-Encoding: chunked, identity\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"TE identity":                  head + "Transfer-Encoding: identity\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"TE twice":                     head + chunked + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled,
		"TE with vertical tab":         head + "Transfer-Encoding: \x0bchunked\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"TE folded":                    head + "Transfer-Encoding:\r\n chunked\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"obs-fold":                     head + "X-A: b\r\n Content-Length: 0\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"bare LF after a header":       head + "X-A: b\nTransfer-Encoding: chunked\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"bare CR in a header":          head + "X-A: b\rTransfer-Encoding: chunked\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"NUL in a header":              head + "X-A: b\x00c\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"chunk size too large":         head + chunked + "\r\nfffffffffffffffff\r\n" + smuggled,
		"chunk extension with LF":      head + chunked + "\r\n0;a\nb\r\n\r\n" + smuggled,
		"chunk ended by LF":            head + chunked + "\r\n1\na\n0\n\n" + smuggled,
		"chunk size with 0x":           head + chunked + "\r\n0x0\r\n\r\n" + smuggled,
		"trailer that is a length":     head + chunked + "\r\n0\r\nContent-Length: 5\r\n\r\n",
		"two hosts":                    "GET / HTTP/1.1\r\nHost: blog.test\r\nHost: other.test\r\n\r\n",
		"host folded":                  "GET / HTTP/1.1\r\nHost: blog.test\r\n other.test\r\n\r\n",
		"no host":                      "GET / HTTP/1.1\r\n\r\n",
		"space in the target":          "GET / smuggled HTTP/1.1\r\nHost: blog.test\r\n\r\n",
		"HTTP/1.0 and TE":              "POST /first HTTP/1.0\r\nHost: blog.test\r\n" + chunked + "\r\n0\r\n\r\n" + smuggled,
		"length on a GET":              "GET /first HTTP/1.1\r\nHost: blog.test\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"length on a HEAD":             "HEAD /first HTTP/1.1\r\nHost: blog.test\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"header without a name":        head + ": x\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"header without a colon":       head + "X-A\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"Connection names the length":  head + "Connection: Content-Length\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"Connection names TE":          head + "Connection: Transfer-Encoding\r\n" + chunked + "\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
		"Connection names Host":        "GET /first HTTP/1.1\r\nHost: blog.test\r\nConnection: Host\r\n\r\n",
		"upgrade with a body":          "GET /first HTTP/1.1\r\nHost: blog.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + length(len(smuggled)) + "\r\n" + smuggled,
		"refused upgrade, then more":   "GET /first HTTP/1.1\r\nHost: blog.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"CR LF in the target, encoded": "GET /first%0d%0aX-A:%20b HTTP/1.1\r\nHost: blog.test\r\n\r\n",
	}
	for name, said := range corpus {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			var mu sync.Mutex
			var seen []string
			record := func(rw http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				mu.Lock()
				seen = append(seen, r.Host+r.URL.Path)
				mu.Unlock()
			}
			w.site("blog", record)
			w.site("other", record)
			w.talk(t, said)
			mu.Lock()
			defer mu.Unlock()
			if len(seen) > 1 {
				t.Errorf("one request became %v", seen)
			}
			for _, what := range seen {
				if strings.HasPrefix(what, "other.test") || strings.HasSuffix(what, "/smuggled") {
					t.Errorf("the site saw %v", seen)
				}
			}
		})
	}
}

func TestRequestsNoSiteShouldSeeAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", hello)
	for said, status := range map[string]int{
		"GET / HTTP/1.1\r\nHost: blog..test\r\n\r\n":                                          400,
		"GET / HTTP/1.1\r\nHost: -\r\n\r\n":                                                   400,
		"GET / HTTP/1.1\r\nHost: blog.test:99999\r\n\r\n":                                     400,
		"GET / HTTP/1.1\r\nHost: blog.test/x\r\n\r\n":                                         400,
		"GET / HTTP/1.1\r\nHost: a@blog.test\r\n\r\n":                                         400,
		"GET / HTTP/1.1\r\nHost:\r\n\r\n":                                                     400,
		"GET / HTTP/1.0\r\n\r\n":                                                              400,
		"GET http://other.test/ HTTP/1.1\r\nHost: blog.test\r\n\r\n":                          400,
		"GET http://blog.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n":                          400,
		"GET ftp://blog.test/ HTTP/1.1\r\nHost: blog.test\r\n\r\n":                            400,
		"CONNECT blog.test:22 HTTP/1.1\r\nHost: blog.test:22\r\n\r\n":                         405,
		"TRACE / HTTP/1.1\r\nHost: blog.test\r\n\r\n":                                         405,
		"GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n":                                         404,
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                                           404,
		"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n":                                            404,
		"GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: blog.test\r\n\r\n":               404,
		"GET /.well-known/petitpont/other HTTP/1.1\r\nHost: blog.test\r\n\r\n":                404,
		"GET / HTTP/1.1\r\nHost: blog.test\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n": 431,
	} {
		same(t, fmt.Sprintf("%.80q", said), w.ask(t, said), status)
	}
	same(t, "times a site was entered", blog.calls.Load(), 0)
}

func TestTheSameHostInAnySpellingIsTheSameSite(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", hello)
	for _, host := range []string{"blog.test", "BLOG.TEST", "blog.test.", "blog.test:8080", "Blog.Test.:1"} {
		same(t, host, w.ask(t, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), 200)
	}
}

func TestOptionsForTheServerItselfNeverReachesASite(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", hello)
	w.ask(t, "OPTIONS * HTTP/1.1\r\nHost: blog.test\r\n\r\n")
	same(t, "entered", blog.calls.Load(), 0)
}
