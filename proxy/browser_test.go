package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"petitpont/e2e/browsertest"
)

// TestTheWakingPageOpensTheSiteByItself in a real Chromium, whose console would tell of anything the page's policy
// refuses.
func TestTheWakingPageOpensTheSiteByItself(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Page, c.Limits.Poll = 10*time.Millisecond, 100*time.Millisecond })
	blog := w.site("blog", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		io.WriteString(rw, `<link rel="icon" href="data:,"><h1>The site itself</h1>`)
	}).asleep()
	tab, complaints := browse(t, w)

	run(t, tab, chromedp.Navigate("http://blog.test/"))
	same(t, "page", run(t, tab, chromedp.Text(chromedp.CSS("h1"))), "The site is waking up…")
	const colour = `getComputedStyle(document.querySelector(".b")).backgroundColor`
	same(t, "button, so the style was accepted", run(t, tab, chromedp.Evaluate[string](colour)), "rgb(23, 89, 122)")
	eventually(t, "the page has asked more than once", func() bool { return blog.calls.Load() >= 3 })
	close(blog.rise)
	run(t, tab, chromedp.WaitVisible(chromedp.Search(`//h1[text()="The site itself"]`)))
	same(t, "starts", blog.starts.Load(), 1)
	for _, c := range complaints() {
		t.Errorf("console: %s", c)
	}
}

// browse starts a Chromium that asks the door for every name, and collects what its console complains about.
func browse(t *testing.T, w *world) (tab context.Context, complaints func() []string) {
	t.Helper()
	_, port, err := net.SplitHostPort(w.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	tab = browsertest.Open(t, chromedp.Flag("host-resolver-rules", "MAP *.test:80 127.0.0.1:"+port))

	var mu sync.Mutex
	var said []string
	if err := chromedp.Listen(tab, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Source != log.EntrySourceNetwork { // the waking page's 503 stands there as well
				said = append(said, e.Entry.Text)
			}
		case *cdpruntime.EventExceptionThrown:
			said = append(said, e.ExceptionDetails.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	run(t, tab, func(ctx context.Context, target *chromedp.Target) (cdp.Empty, error) {
		if _, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{}); err != nil {
			return cdp.Empty{}, err
		}
		return cdp.Call(ctx, target, cdpruntime.Enable, cdp.Empty{})
	})
	return tab, func() []string { mu.Lock(); defer mu.Unlock(); return said }
}

// run does one thing in the tab, within a minute.
func run[T any](t *testing.T, tab context.Context, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	defer cancel()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
