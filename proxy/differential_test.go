package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

// seen is what a visitor gets of a site's answer.
type seen struct {
	Status int
	Header http.Header
	Body   string
	Broken bool // it does not come to its end
}

// twice is a door before a site that answers every request with the same bytes and then closes.
type twice struct {
	*world
	said atomic.Pointer[string]
	once http.Client
}

func newTwice(t *testing.T) *twice {
	w := &twice{world: newWorld(t, nil)}
	w.once = http.Client{
		Transport:     &http.Transport{DialContext: w.dial, DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.raw("blog", func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, *w.said.Load())
		}
	})
	return w
}

func (w *twice) see(t *testing.T, method string) seen {
	t.Helper()
	req, err := http.NewRequest(method, "http://blog.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.once.Do(req)
	if err != nil {
		return seen{Broken: true}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode >= 500 && res.Header.Get("Content-Security-Policy") != "" { // a page of the door's, with a reference
		return seen{Status: res.StatusCode}
	}
	res.Header.Del("Date")
	for name, values := range res.Trailer {
		res.Header["Trailer "+name] = values
	}
	return seen{res.StatusCode, res.Header, string(body), err != nil}
}

// same wants what our own client makes of an answer to be what net/http's Transport makes of it: a GET goes by the one, a
// POST by the other.
func (w *twice) same(t *testing.T, said string) (ours seen) {
	t.Helper()
	w.said.Store(&said)
	ours, theirs := w.see(t, http.MethodGet), w.see(t, http.MethodPost)
	if ours.Broken && theirs.Broken { // how much came before is a matter of buffers
		ours.Body, theirs.Body = "", ""
	}
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("%.200q\nours:   %+v\ntheirs: %+v", said, ours, theirs)
	}
	return ours
}

const ok = "HTTP/1.1 200 OK\r\n"

// rawAnswers are what sites may say, and the status a visitor sees; 0 where nothing whole comes.
var rawAnswers = []struct {
	said   string
	status int
	body   string
}{
	{ok + "Content-Length: 2\r\n\r\nok", 200, "ok"},
	{ok + "Content-Length: 2\r\nConnection: close\r\n\r\nok", 200, "ok"},
	{ok + "Content-Length: 2\r\nX-A: 1\r\nX-A: 2\r\nx-a: 3\r\nConnection: X-A\r\nKeep-Alive: timeout=5\r\n\r\nok", 200, "ok"},
	{ok + "\r\nuntil the end", 200, "until the end"},
	{"HTTP/1.0 200 OK\r\n\r\nold", 200, "old"},
	{"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nold", 200, "old"},
	{ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"},
	{ok + "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", 200, "ok"},
	{ok + "Transfer-Encoding: chunked\r\n\r\n2;ext=1\r\nok\r\n0\r\n\r\n", 200, "ok"},
	{ok + "Content-Length: 0\r\n\r\n", 200, ""},
	{"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
	{"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, ""},
	{"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n", 302, ""},
	{"HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno", 404, "no"},
	{"HTTP/1.1 599 Own\r\nContent-Length: 2\r\n\r\nno", 599, "no"},
	{"HTTP/1.1 999 Own\r\nContent-Length: 2\r\n\r\nno", 999, "no"},
	{"HTTP/1.1 100 Continue\r\n\r\n" + fine, 200, "ok"},
	{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + fine, 200, "ok"},
	{ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
	{ok + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
	{ok + fmt.Sprintf("Content-Length: %d\r\n\r\n", 2*piece) + strings.Repeat("x", 2*piece), 200, strings.Repeat("x", 2*piece)},
	{ok + "Transfer-Encoding: chunked\r\nContent-Length: 50\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"},

	{"", 502, ""},
	{"HTTP", 502, ""},
	{"SSH-2.0-OpenSSH\r\n", 502, ""},
	{"HTTP/1.1 abc OK\r\n\r\n", 502, ""},
	{"HTTP/1.1 099 Low\r\n\r\n", 502, ""},
	{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 502, ""},
	{ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502, ""},
	{ok + "Content-Length: -1\r\n\r\nok", 502, ""},
	{ok + "Content-Length: +2\r\n\r\nok", 502, ""},
	{ok + "Transfer-Encoding: gzip\r\n\r\nok", 502, ""},
	{ok + "No colon\r\n\r\nok", 502, ""},
	{ok + "X-A: " + strings.Repeat("a", maxAnswer), 502, ""},
	{ok + "Content-Length: 2\r\nX-A", 502, ""},

	{ok + "Content-Length: 3\r\n\r\nok", 0, ""},
	{ok + fmt.Sprintf("Content-Length: %d\r\n\r\n", 3*piece) + strings.Repeat("x", 2*piece), 0, ""},
	{ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 0, ""},
	{ok + "Transfer-Encoding: chunked\r\n\r\nnot hex\r\nok\r\n", 0, ""},
}

func TestOurClientReadsAnswersAsNetHTTPDoes(t *testing.T) {
	w := newTwice(t)
	for _, c := range rawAnswers {
		got := w.same(t, c.said)
		if got.Broken != (c.status == 0) || !got.Broken && (got.Status != c.status || got.Body != c.body) {
			t.Errorf("%.200q is %.300s, want %d %.20q", c.said, fmt.Sprintf("%+v", got), c.status, c.body)
		}
	}
}

func FuzzOurClientReadsAnswersAsNetHTTPDoes(f *testing.F) {
	for _, c := range rawAnswers {
		if len(c.said) < 1000 {
			f.Add(c.said)
		}
	}
	f.Fuzz(func(t *testing.T, said string) { newTwice(t).same(t, said) })
}
