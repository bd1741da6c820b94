package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// mirror answers with what the site saw.
func mirror(w http.ResponseWriter, r *http.Request) {
	json.NewEncoder(w).Encode(map[string]any{"uri": r.RequestURI, "host": r.Host, "header": r.Header})
}

type reflection struct {
	URI, Host string
	Header    http.Header
}

func (a answer) reflection(t *testing.T) (r reflection) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return r
}

func TestPathAndQueryArriveAsTheyWereSent(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", mirror)
	for _, uri := range []string{
		"/", "/?", "/a%2Fb", "//a//b", "/a/../b/./c", "/?a;b&c=%zz", "/?x=1&x=2", "/%E9", "/a+b?c+d", "/;p=1", "/a:b", "/*",
	} {
		conn := w.connect(t)
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: blog.test\r\nConnection: close\r\n\r\n", uri)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		same(t, "URI", answer{res, string(body)}.reflection(t).URI, uri)
	}
}

func TestTheSiteIsToldWhoAsksAndUnderWhichName(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", mirror)
	got := w.do("GET", "http://BLOG.test:8080/", nil).reflection(t)
	same(t, "Host", got.Host, "BLOG.test:8080")
	same(t, "For", got.Header.Get("X-Forwarded-For"), "127.0.0.1")
	same(t, "Proto", got.Header.Get("X-Forwarded-Proto"), "http")
	same(t, "Host forwarded", got.Header.Get("X-Forwarded-Host"), "BLOG.test:8080")
	if _, told := got.Header["User-Agent"]; !told {
		t.Error("the visitor's User-Agent is missing")
	}
}

// spoofs is what clients send to be taken for somebody else (S56).
var spoofs = []string{
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server",
	"X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Forwarded-User", "X-Forwarded-Scheme", "X-Forwarded", "Forwarded",
	"X-Real-Ip", "X-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip",
	"Fastly-Client-Ip", "X-Original-Url", "X-Rewrite-Url", "Proxy",
	"X_Forwarded_For", "X_Real_Ip", "X-Forwarded_For", "Client_ip",
}

func TestNobodyCanPretendToBeSomebodyElse(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", mirror)
	for _, name := range spoofs {
		if name == "X-Forwarded" {
			continue // names no claim any server knows
		}
		got := w.do("GET", "http://blog.test/", nil, name, "6.6.6.6").reflection(t)
		for key, values := range got.Header {
			if strings.Contains(strings.Join(values, ","), "6.6.6.6") {
				t.Errorf("%s came through as %s: %v", name, key, values)
			}
		}
	}
	if log := w.log.String(); strings.Contains(log, "6.6.6.6") || !strings.Contains(log, `"ip":"127.0.0.1"`) {
		t.Error("the log believes a client")
	}
}

func TestATrustedProxyIsBelievedAndExtended(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	w.site("blog", mirror)
	got := w.do("GET", "http://blog.test/", nil,
		"X-Forwarded-For", "6.6.6.6, 203.0.113.7", "X-Forwarded-For", "10.1.1.1",
		"X-Forwarded-Proto", "https", "X-Real-IP", "203.0.113.7", "Forwarded", "for=203.0.113.7",
		"X_Forwarded_For", "6.6.6.6", "Proxy", "http://6.6.6.6").reflection(t)
	same(t, "For", got.Header.Get("X-Forwarded-For"), "6.6.6.6, 203.0.113.7, 10.1.1.1, 127.0.0.1")
	same(t, "Proto", got.Header.Get("X-Forwarded-Proto"), "https")
	same(t, "Real", got.Header.Get("X-Real-IP"), "203.0.113.7")
	same(t, "Forwarded", got.Header.Get("Forwarded"), "for=203.0.113.7")
	same(t, "disguised", got.Header.Get("X_Forwarded_For")+got.Header.Get("Proxy"), "")
	if !strings.Contains(w.log.String(), `"ip":"203.0.113.7"`) {
		t.Errorf("the log does not name the first address that nobody vouches for: %s", w.log)
	}
}

func TestHeadersOfOneConnectionStayOnIt(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Keep-Alive", "Proxy-Authenticate", "X-Named"} {
			rw.Header().Set(name, "upstream")
		}
		rw.Header().Set("Connection", "X-Named")
		mirror(rw, r)
	})
	res := w.do("GET", "http://blog.test/", nil, "Connection", "X-Secret, keep-alive", "X-Secret", "s",
		"Keep-Alive", "timeout=5", "Proxy-Authorization", "p", "Te", "gzip")
	got := res.reflection(t)
	for _, name := range []string{"X-Secret", "Keep-Alive", "Proxy-Authorization", "Te", "Connection"} {
		same(t, name+" at the site", got.Header.Get(name), "")
	}
	for _, name := range []string{"X-Named", "Keep-Alive", "Proxy-Authenticate"} {
		same(t, name+" at the visitor", res.Header.Get(name), "")
	}
}

func TestH2CNeverHidesRequestsFromTheDoor(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", mirror)
	got := w.do("GET", "http://blog.test/", nil, "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABk")
	same(t, "Upgrade", got.reflection(t).Header.Get("Upgrade"), "")
	same(t, "Connection", got.reflection(t).Header.Get("Connection"), "")
	same(t, "a name no protocol has", w.do("GET", "http://blog.test/", nil, "Connection", "Upgrade", "Upgrade", "\xff").StatusCode, 400)
}

func TestASiteThatSwitchesProtocolsUnaskedIsDown(t *testing.T) {
	w := newWorld(t, nil)
	closed := make(chan struct{})
	w.raw("blog", func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(io.Discard, conn)
		close(closed)
	})
	same(t, "status", w.do("GET", "http://blog.test/", nil).StatusCode, 502)
	<-closed // and its connection is not kept
}

func TestStatusHeadTrailersAndInterimAnswersPass(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/304":
			rw.Header().Set("ETag", `"x"`)
			rw.WriteHeader(304)
		case "/204":
			rw.WriteHeader(204)
		case "/head":
			rw.Header().Set("Content-Length", "12345")
		case "/redirect":
			http.Redirect(rw, r, "/there", http.StatusFound)
		case "/trailer":
			rw.Header().Set("Trailer", "X-Sum")
			io.WriteString(rw, "body")
			rw.Header().Set("X-Sum", "42")
		case "/hints":
			rw.Header().Set("Link", "</a.css>; rel=preload")
			rw.Header().Set("Connection", "X-Named")
			rw.Header().Set("X-Named", "mine")
			rw.WriteHeader(http.StatusEarlyHints)
			rw.Header().Del("Connection")
			rw.Header().Del("X-Named")
			io.WriteString(rw, "after")
		case "/418":
			rw.WriteHeader(418)
			io.WriteString(rw, "tea")
		}
	})
	res := w.do("GET", "http://blog.test/304", nil)
	same(t, "304", fmt.Sprintf("%d %s", res.StatusCode, res.Header.Get("ETag")), `304 "x"`)
	same(t, "204", w.do("GET", "http://blog.test/204", nil).StatusCode, 204)
	res = w.do("HEAD", "http://blog.test/head", nil)
	same(t, "HEAD", fmt.Sprintf("%d %d %q", res.StatusCode, res.ContentLength, res.body), `200 12345 ""`)
	res = w.do("GET", "http://blog.test/redirect", nil)
	same(t, "redirect", fmt.Sprintf("%d %s", res.StatusCode, res.Header.Get("Location")), "302 /there")
	same(t, "own errors", w.do("GET", "http://blog.test/418", nil).body, "tea")

	req, _ := http.NewRequest("GET", "http://blog.test/trailer", nil)
	raw, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, raw.Body)
	raw.Body.Close()
	same(t, "trailer", raw.Trailer.Get("X-Sum"), "42")

	var hints textproto.MIMEHeader
	req, _ = http.NewRequest("GET", "http://blog.test/hints", nil)
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error { hints = h; return nil },
	}))
	if raw, err = w.http.Do(req); err != nil {
		t.Fatal(err)
	}
	raw.Body.Close()
	same(t, "early hint", hints.Get("Link"), "</a.css>; rel=preload")
	same(t, "named by Connection in a hint", hints.Get("X-Named")+hints.Get("Connection"), "")
}

func TestAnUploadIsAskedForOnceAndOnlyWhenTheSiteWantsIt(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			rw.WriteHeader(403)
			return
		}
		b, _ := io.ReadAll(r.Body)
		rw.Write(b)
	})
	conn := w.connect(t)
	fmt.Fprint(conn, "POST /yes HTTP/1.1\r\nHost: blog.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	br := bufio.NewReader(conn)
	first, _ := br.ReadString('\n')
	same(t, "first line", first, "HTTP/1.1 100 Continue\r\n")
	br.ReadString('\n')
	io.WriteString(conn, "abc")
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	same(t, "answer", fmt.Sprintf("%d %s", res.StatusCode, body), "200 abc")

	conn = w.connect(t)
	fmt.Fprint(conn, "POST /no HTTP/1.1\r\nHost: blog.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if res, err = http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		t.Fatal(err)
	}
	same(t, "refused before the body", res.StatusCode, 403)
}

// R39.
func TestASiteThatDiesIsNeverSentAPostAgain(t *testing.T) {
	for name, after := range map[string]string{
		"before it answers":                 "",
		"before it answers, without a body": "",
		"in its header":                     "HTTP/1.1 200 OK\r\nConte",
		"in its body":                       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			var posts atomic.Int64
			w.raw("blog", func(conn net.Conn) {
				br := bufio.NewReader(conn)
				for {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					if req.Method == "POST" {
						posts.Add(1)
						io.WriteString(conn, after)
						return
					}
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			same(t, "a connection is warm", w.do("GET", "http://blog.test/", nil).body, "ok")
			body := "x"
			if strings.Contains(name, "without a body") {
				body = ""
			}
			req, _ := http.NewRequest("POST", "http://blog.test/", strings.NewReader(body))
			req.Header.Set("Idempotency-Key", "1") // a promise of the visitor's, not of the site's
			w.http.CloseIdleConnections()          // so that it is not the visitor who sends it again
			res, err := w.http.Do(req)
			if strings.Contains(after, "half") {
				if err == nil {
					_, err = io.ReadAll(res.Body)
				}
				if err == nil {
					t.Error("a cut answer looks whole")
				}
			} else if err != nil || res.StatusCode != 502 {
				t.Errorf("got %v, %v; want 502", res, err)
			}
			same(t, "times the site saw it", posts.Load(), 1)
		})
	}
}

func TestAPostNeverTravelsOnAConnectionThatMayBeDead(t *testing.T) {
	w := newWorld(t, nil)
	w.raw("blog", func(conn net.Conn) { // answers once; to more it says what the kernel of a site says that was restarted
		br := bufio.NewReader(conn)
		if req, err := http.ReadRequest(br); err == nil {
			io.Copy(io.Discard, req.Body)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		br.ReadByte()
		conn.(*net.TCPConn).SetLinger(0)
	})
	for range 20 {
		same(t, "GET", w.do("GET", "http://blog.test/", nil).StatusCode, 200)
		same(t, "POST", w.do("POST", "http://blog.test/", strings.NewReader("x")).StatusCode, 200)
	}
}

func TestARequestThatMayBeRepeatedIsSentAtMostTwice(t *testing.T) {
	w := newWorld(t, nil)
	var deadly atomic.Int64
	gate := make(chan struct{})
	w.raw("blog", func(conn net.Conn) {
		br := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if req.URL.Path == "/deadly" {
				deadly.Add(1)
				conn.(*net.TCPConn).SetLinger(0)
				return
			}
			<-gate
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	done := make(chan bool)
	for range 8 {
		go func() { w.do("GET", "http://blog.test/", nil); done <- true }()
	}
	eventually(t, "eight connections are in use", func() bool { return w.find("blogid").inside.Load() == 8 })
	close(gate)
	for range 8 {
		<-done
	}
	same(t, "status", w.do("GET", "http://blog.test/deadly", nil).StatusCode, 502)
	if n := deadly.Load(); n > 2 {
		t.Errorf("the site saw it %d times", n)
	}
}

func TestASlowSiteGetsThePageThatSaysSo(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.FirstByte = 20 * time.Millisecond })
	release := make(chan struct{})
	blog := w.site("blog", func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	res := w.browser("http://blog.test/", "Accept-Language", "en")
	same(t, "status", res.StatusCode, 504)
	if !strings.Contains(res.body, "taking too long") || !strings.Contains(res.body, "/s/blog?ref=") {
		t.Errorf("page: %s", res.body)
	}
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}

func TestASiteThatRefusesConnectionsIsDown(t *testing.T) {
	w := newWorld(t, nil)
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	addr := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	w.add("blog", addr)
	same(t, "status", w.browser("http://blog.test/").StatusCode, 502)
}

func TestASiteThatSpeaksNonsenseOrTooMuchIsDown(t *testing.T) {
	for name, said := range map[string]string{
		"no HTTP":             "SSH-2.0-OpenSSH_9.2\r\n",
		"two lengths":         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"a megabyte of names": "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 1000) + "\r\n",
		"bad status":          "HTTP/1.1 999999 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.raw("blog", func(conn net.Conn) {
				http.ReadRequest(bufio.NewReader(conn))
				io.WriteString(conn, said)
			})
			same(t, "status", w.do("GET", "http://blog.test/", nil).StatusCode, 502)
		})
	}
}

func TestUploadsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Body = 1 << 20 })
	var whole atomic.Int64
	w.site("blog", func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Add(1)
		}
	})
	// Nobody sends what would not be read: the reset that answers it may overtake the answer.
	said := w.say(t, "POST / HTTP/1.1\r\nHost: blog.test\r\nAccept: text/html\r\nAccept-Language: fr\r\nContent-Length: 1048577\r\n\r\n")
	same(t, "announced", said.StatusCode, 413)
	if !strings.Contains(said.body, "1\u00a0Mo") {
		t.Errorf("page does not say the limit: %s", said.body)
	}
	much := strings.Repeat("x", 1<<20)
	said = w.say(t, "POST / HTTP/1.1\r\nHost: blog.test\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\nx"+much+"\r\n")
	same(t, "chunked", said.StatusCode, 413)
	same(t, "seen whole by the site", whole.Load(), 0)
	same(t, "just below", w.do("POST", "http://blog.test/", strings.NewReader(much)).StatusCode, 200)
}

func TestAVisitorWhoBreaksOffAnUploadIsNotBlamedOnTheSite(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	conn := w.connect(t)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: blog.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "broken chunk", res.StatusCode, 400)

	conn = w.connect(t)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: blog.test\r\nContent-Length: 10\r\n\r\nhalf")
	eventually(t, "the site has it", func() bool { return blog.inside.Load() == 1 })
	conn.Close()
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
	if strings.Contains(w.log.String(), "site did not answer") {
		t.Error("the log blames the site")
	}
}

func TestAVisitorWhoStopsSendingIsCutOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Stall = 30 * time.Millisecond })
	blog := w.site("blog", func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	conn := w.connect(t)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: blog.test\r\nContent-Length: 10\r\n\r\nhalf")
	io.Copy(io.Discard, conn) // until the door hangs up
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}

func TestAVisitorWhoStopsReadingIsCutOff(t *testing.T) {
	for _, length := range []string{"", "1000000000000"} {
		t.Run("announced length "+length, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Limits.Stall = 50 * time.Millisecond })
			blog := w.site("blog", func(rw http.ResponseWriter, _ *http.Request) {
				if length != "" {
					rw.Header().Set("Content-Length", length)
				}
				for chunk := make([]byte, 1<<20); ; {
					if _, err := rw.Write(chunk); err != nil {
						return
					}
				}
			})
			conn := w.connect(t)
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: blog.test\r\n\r\n")
			eventually(t, "the site is entered", func() bool { return blog.calls.Load() == 1 })
			eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
		})
	}
}

func TestEventsArriveOneByOneAndCountAsUse(t *testing.T) {
	w := newWorld(t, nil)
	next := make(chan string)
	blog := w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.(http.Flusher).Flush()
		for line := range next {
			io.WriteString(rw, line)
			rw.(http.Flusher).Flush()
		}
	})
	res, err := w.http.Get("http://blog.test/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	br := bufio.NewReader(res.Body)
	for _, line := range []string{"data: 1\n", "data: 2\n", "data: 3\n"} {
		next <- line
		got, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		same(t, "event", got, line)
		same(t, "in flight", blog.inside.Load(), 1)
	}
	close(next)
	io.Copy(io.Discard, br)
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}

func TestAQuietStreamOutlivesTheStallLimitAndEndsWhole(t *testing.T) {
	t.Parallel()
	const stall = time.Second // each write has to fit in
	w := newWorld(t, func(c *Config) { c.Limits.Stall = stall })
	next := make(chan struct{})
	w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		<-next
		io.WriteString(rw, "late")
	})
	res, err := w.http.Get("http://blog.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	time.AfterFunc(2*stall, func() { close(next) })
	body, err := io.ReadAll(res.Body)
	same(t, "answer", fmt.Sprint(string(body), err), "late<nil>")
}

func TestADownloadOnWhichNothingMovesIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Limits.Stream = time.Second }) // the answer has to begin within it
	release := make(chan struct{})
	defer close(release)
	blog := w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		<-release
	})
	res, err := w.http.Get("http://blog.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("an answer that was given up looks whole")
	}
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}

// D7: slots, and with them addresses, are used again.
func TestAConnectionOfADeletedSiteNeverServesItsSuccessor(t *testing.T) {
	w := newWorld(t, nil)
	var owner atomic.Value
	owner.Store("first")
	var conns atomic.Int64
	first := w.raw("first", func(conn net.Conn) {
		conns.Add(1)
		said := owner.Load().(string) // a process that lives on says what it was
		br := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(said), said)
		}
	})
	same(t, "first", w.do("GET", "http://first.test/", nil).body, "first")
	eventually(t, "a connection serves twice", func() bool { // net/http keeps none whose writer was slow to say that it is done
		before := conns.Load()
		same(t, "again", w.do("GET", "http://first.test/", nil).body, "first")
		return conns.Load() == before
	})
	before := conns.Load()
	owner.Store("second")
	w.add("second", first.addr)
	same(t, "second", w.do("GET", "http://second.test/", nil).body, "second")
	same(t, "new connections", conns.Load()-before, 1)
}

func TestIdleConnectionsEndWhenTheSiteSleepsOrMoves(t *testing.T) {
	w := newWorld(t, nil)
	var open atomic.Int64
	serve := func(conn net.Conn) {
		open.Add(1)
		defer open.Add(-1)
		br := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}
	blog, elsewhere := w.raw("blog", serve), w.raw("elsewhere", serve)
	w.do("GET", "http://blog.test/", nil)
	same(t, "open", open.Load(), 1)
	w.proxy.Rest(blog.row.ID)
	eventually(t, "the connection ends with Rest", func() bool { return open.Load() == 0 })
	w.do("GET", "http://blog.test/", nil)
	blog.addr = elsewhere.addr
	w.do("GET", "http://blog.test/", nil)
	eventually(t, "only the new address is connected", func() bool { return open.Load() == 1 })
	w.proxy.Close()
	eventually(t, "none is after Close", func() bool { return open.Load() == 0 })
}

func TestSitesNobodyVisitsAreForgotten(t *testing.T) {
	var clock atomic.Int64
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return time.Unix(clock.Load(), 0) } })
	count := func() (n int) { w.proxy.ups.each(func(*upstream) { n++ }); return n }
	clock.Store(1000)
	release := make(chan struct{})
	busy := w.site("busy", func(http.ResponseWriter, *http.Request) { <-release })
	go w.http.Get("http://busy.test/")
	eventually(t, "busy is visited", func() bool { return busy.inside.Load() == 1 })
	for i := range 10 {
		name := fmt.Sprintf("old%d", i)
		w.site(name, hello)
		w.do("GET", "http://"+name+".test/", nil)
	}
	same(t, "known", count(), 11)
	clock.Store(2000)
	w.site("new", hello)
	w.do("GET", "http://new.test/", nil)
	same(t, "known later: the busy one and the new one", count(), 2)
	close(release)
}
