package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// echo is a site with a web socket that says everything back.
func echo(rw http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(rw, r, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	for {
		kind, data, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		if err := ws.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}

func (w *world) socket(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: w.http})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

// R38.
func TestAWebSocketPassesAndCountsAsUseUntilItIsClosed(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", echo)
	ws := w.socket(t, "ws://blog.test/chat")
	for _, said := range []string{"one", strings.Repeat("long ", 5000), "three"} {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(said)); err != nil {
			t.Fatal(err)
		}
		_, heard, err := ws.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "echo", string(heard), said)
		same(t, "in flight", blog.inside.Load(), 1)
	}
	if err := ws.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
	eventually(t, "the log says so", func() bool { return strings.Contains(w.log.String(), `"st":101`) })
}

func TestAWebSocketWaitsForASleepingSite(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Page = time.Millisecond })
	blog := w.site("blog", echo).asleep()
	go func() {
		for w.proxy.held.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		close(blog.rise)
	}()
	w.socket(t, "ws://blog.test/chat").Close(websocket.StatusNormalClosure, "")
}

func TestAWebSocketThatVanishesLeavesTheSite(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", echo)
	w.socket(t, "ws://blog.test/chat").CloseNow()
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}

func TestAWebSocketOfASiteThatDiesEnds(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.raw("blog", func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	})
	conn := w.connect(t)
	io.WriteString(conn, upgrade)
	said, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(said), "HTTP/1.1 101 ") {
		t.Errorf("got %q", said)
	}
	conn.Close()
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}

const upgrade = "GET /chat HTTP/1.1\r\nHost: blog.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"

func TestWhatIsSentRightBehindTheHandshakeArrives(t *testing.T) {
	w := newWorld(t, nil)
	w.raw("blog", func(conn net.Conn) {
		br := bufio.NewReader(conn)
		http.ReadRequest(br)
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Named\r\nUpgrade: websocket\r\nX-Named: n\r\nKeep-Alive: k\r\nX-Kept: k\r\n\r\nand back")
		heard := make([]byte, len("early and late"))
		io.ReadFull(br, heard)
		fmt.Fprintf(conn, " heard %s", heard)
	})
	conn := w.connect(t)
	io.WriteString(conn, upgrade+"early")
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "status", res.StatusCode, 101)
	same(t, "Upgrade", res.Header.Get("Upgrade"), "websocket")
	same(t, "of one connection", res.Header.Get("X-Named")+res.Header.Get("Keep-Alive"), "")
	same(t, "of the answer", res.Header.Get("X-Kept"), "k")
	io.WriteString(conn, " and late")
	heard, _ := io.ReadAll(br)
	same(t, "both ways", string(heard), "and back heard early and late")
}

func TestOneDirectionMayEndBeforeTheOther(t *testing.T) {
	w := newWorld(t, nil)
	w.raw("blog", func(conn net.Conn) {
		br := bufio.NewReader(conn)
		http.ReadRequest(br)
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		all, _ := io.ReadAll(br)
		fmt.Fprintf(conn, "%d bytes", len(all))
	})
	conn := w.connect(t)
	io.WriteString(conn, upgrade+strings.Repeat("x", 100_000))
	conn.(*net.TCPConn).CloseWrite()
	all, _ := io.ReadAll(conn)
	if !strings.HasSuffix(string(all), "\r\n\r\n100000 bytes") {
		t.Errorf("got %q", all)
	}
}

func TestAHandshakeTheSiteRefusesIsAnOrdinaryAnswer(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "members only", 403) })
	conn := w.connect(t)
	io.WriteString(conn, upgrade)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "status", res.StatusCode, 403)
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}

func TestATunnelInWhichNothingMovesIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Limits.Stream = time.Second }) // the handshake has to fit in
	blog := w.site("blog", echo)
	ws := w.socket(t, "ws://blog.test/chat")
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("something moved")
	}
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}

func TestAStreamIsHeldOpenByEitherDirection(t *testing.T) {
	const limit = time.Hour
	for name, c := range map[string]struct{ sends, hears bool }{
		"what is sent": {sends: true}, "what is heard": {hears: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				conn := &streamConn{Conn: here, limit: limit}
				go io.Copy(io.Discard, there)
				ended := make(chan error, 1)
				go func() { _, err := io.Copy(io.Discard, conn); ended <- err }()
				for range 40 {
					if c.sends {
						conn.Write([]byte("x"))
					}
					if c.hears {
						there.Write([]byte("x"))
					}
					time.Sleep(limit / 20)
				}
				select {
				case err := <-ended:
					t.Errorf("given up while something moved: %v", err)
				default:
					if err := <-ended; err == nil {
						t.Error("nothing moves any more, and it ended in peace")
					}
				}
				there.Close()
				here.Close()
			})
		})
	}
}

func TestClosingTheDoorEndsTunnels(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", echo)
	ws := w.socket(t, "ws://blog.test/chat")
	same(t, "in flight", blog.inside.Load(), 1)
	if err := w.srv.Config.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("the tunnel outlived the door")
	}
	eventually(t, "the site is left", func() bool { return blog.inside.Load() == 0 })
}
