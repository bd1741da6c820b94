package proxy

import (
	"context"
	"io"
	"net/http"
	"os"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestNothingIsLeftBehind: after every kind of visit, goroutines and descriptors are as many as before.
func TestNothingIsLeftBehind(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Limits.FirstByte, c.Limits.Page, c.Limits.Wake = 30*time.Millisecond, time.Millisecond, time.Millisecond
	})
	blog := w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/chat":
			echo(rw, r)
		case "/slow":
			<-r.Context().Done()
		case "/cut":
			rw.Header().Set("Content-Length", "10")
			io.WriteString(rw, "half")
			panic(http.ErrAbortHandler)
		default:
			io.Copy(rw, r.Body)
		}
	})
	sleepy := w.site("sleepy", hello).asleep()
	round := func() {
		w.do("GET", "http://blog.test/", nil)
		w.do("POST", "http://blog.test/", strings.NewReader("x"))
		w.do("GET", "http://blog.test/slow", nil)
		w.do("GET", "http://nobody.test/", nil)
		w.do("POST", "http://sleepy.test/", nil)
		w.browser("http://sleepy.test/")
		w.do("GET", "http://blog.test/", nil, "Connection", "Upgrade", "Upgrade", "websocket")
		if res, err := w.http.Get("http://blog.test/cut"); err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://blog.test/slow", nil)
		if res, err := w.http.Do(req); err == nil {
			res.Body.Close()
		}
		var ws *websocket.Conn
		eventually(t, "a web socket opens", func() bool { // a busy machine may need longer than FirstByte
			var err error
			ws, _, err = websocket.Dial(t.Context(), "ws://blog.test/chat", &websocket.DialOptions{HTTPClient: w.http})
			return err == nil
		})
		ws.Write(t.Context(), websocket.MessageText, []byte("x"))
		ws.Read(t.Context())
		ws.CloseNow()
	}
	calm := func() (goroutines, fds int) {
		eventually(t, "every visit has ended", func() bool { return blog.inside.Load() == 0 && w.proxy.held.Load() == 0 })
		w.http.CloseIdleConnections()
		w.proxy.Rest(blog.row.ID)
		return goruntime.NumGoroutine(), descriptors(t)
	}
	round()
	calm()
	var g0, f0 int
	eventually(t, "the first round has settled", func() bool {
		g, f := calm()
		settled := g == g0 && f == f0
		g0, f0 = g, f
		time.Sleep(20 * time.Millisecond)
		return settled
	})
	for range 20 {
		round()
	}
	eventually(t, "as many goroutines and descriptors as before", func() bool {
		g, f := calm()
		return g <= g0 && f <= f0
	})
	close(sleepy.rise)
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
