package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"petitpont/site"
)

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

func TestAHundredFirstRequestsWaitForOneStartAndAllGetTheSite(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", hello).asleep()
	var good atomic.Int64
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			headers := []string{"Accept", "application/json"}
			if i%2 == 0 {
				headers = []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate"}
			}
			if res := w.do("GET", "http://blog.test/", nil, headers...); res.StatusCode == 200 && res.body == "hello" {
				good.Add(1)
			}
		})
	}
	eventually(t, "all hundred are held", func() bool { return w.proxy.held.Load() == 100 })
	close(blog.rise)
	all.Wait()
	same(t, "answers from the site", good.Load(), 100)
	same(t, "starts", blog.starts.Load(), 1)
	eventually(t, "nobody is held or in flight", func() bool {
		return w.proxy.held.Load() == 0 && blog.inside.Load() == 0 && w.proxy.ups.of(blog.row.ID).open.Load() == 0
	})
}

// R37.
func TestAnUploadToASleepingSiteArrivesOnceAndIntact(t *testing.T) {
	w := newWorld(t, nil)
	var seen atomic.Int64
	blog := w.site("blog", func(rw http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(rw, "%d %v %x", n, err, sum.Sum(nil))
	}).asleep()
	for _, announced := range []bool{true, false} {
		data := make([]byte, 5<<20)
		rand.Read(data)
		var body io.Reader = bytes.NewReader(data)
		if !announced {
			body = io.MultiReader(body) // chunked
		}
		got := make(chan answer, 1)
		go func() { got <- w.do("POST", "http://blog.test/up", body, "Accept", "text/html") }()
		if announced {
			eventually(t, "the upload is held", func() bool { return w.proxy.held.Load() == 1 })
			close(blog.rise)
		}
		same(t, "what the site read", (<-got).body, fmt.Sprintf("%d <nil> %x", len(data), sha256.Sum256(data)))
	}
	same(t, "requests the site saw", seen.Load(), 2)
	same(t, "starts", blog.starts.Load(), 1)
}

func TestABrowserThatWaitsTooLongSeesTheWakingPageWhileTheWakeGoesOn(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Page = 10 * time.Millisecond })
	blog := w.site("blog", hello).asleep()
	res := w.browser("http://blog.test/", "Accept-Language", "fr")
	same(t, "status", res.StatusCode, 503)
	same(t, "Retry-After", res.Header.Get("Retry-After"), "2")
	same(t, "Cache-Control", res.Header.Get("Cache-Control"), "no-store")
	same(t, "X-Robots-Tag", res.Header.Get("X-Robots-Tag"), "noindex")
	if !strings.Contains(res.body, "Le site se réveille…") || !strings.Contains(res.body, "<script>") {
		t.Errorf("not the waking page: %s", res.body)
	}

	poll := make(chan answer, 1)
	go func() { poll <- w.do("GET", "http://blog.test/.well-known/petitpont/wake", nil) }()
	eventually(t, "the poll is held", func() bool { return w.proxy.held.Load() == 1 })
	close(blog.rise)
	same(t, "poll", (<-poll).body, `{"state":"awake"}`+"\n")
	same(t, "second load", w.browser("http://blog.test/").body, "hello")
	same(t, "starts", blog.starts.Load(), 1)
	same(t, "in flight", blog.inside.Load(), 0)
}

func TestOnlyBrowsersOpeningAPageGetTheWakingPage(t *testing.T) {
	html := []string{"Accept", "text/html"}
	for name, c := range map[string]struct {
		method  string
		headers []string
		page    bool
	}{
		"a browser":                {"GET", append(html, "Sec-Fetch-Mode", "navigate"), true},
		"an old browser":           {"GET", html, true},
		"a form":                   {"POST", append(html, "Sec-Fetch-Mode", "navigate"), false},
		"a HEAD":                   {"HEAD", html, false},
		"a script's fetch":         {"GET", append(html, "Sec-Fetch-Mode", "cors"), false},
		"a picture":                {"GET", []string{"Accept", "image/avif,*/*", "Sec-Fetch-Mode", "no-cors"}, false},
		"an API":                   {"GET", []string{"Accept", "application/json"}, false},
		"curl":                     {"GET", []string{"Accept", "*/*"}, false},
		"a web socket":             {"GET", append(html, "Connection", "Upgrade", "Upgrade", "websocket"), false},
		"a client without headers": {"GET", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Limits.Page = 10 * time.Millisecond })
			blog := w.site("blog", hello).asleep()
			got := make(chan answer, 1)
			go func() { got <- w.do(c.method, "http://blog.test/", nil, c.headers...) }()
			if c.page {
				same(t, "status", (<-got).StatusCode, 503)
				close(blog.rise)
				return
			}
			eventually(t, "it is held", func() bool { return w.proxy.held.Load() == 1 })
			select {
			case res := <-got:
				t.Fatalf("was not held: %d %s", res.StatusCode, res.body)
			case <-time.After(50 * time.Millisecond): // five times the browser's patience
			}
			close(blog.rise)
			same(t, "status", (<-got).StatusCode, 200)
		})
	}
}

func TestHeldRequestsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		limits Limits
		other  bool // the one too many goes to another site
	}{
		"per site":     {Limits{Held: 3, Page: time.Minute}, false},
		"in the house": {Limits{Held: 100, HeldAll: 3, Page: time.Minute}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { cfg.Limits = c.limits })
			blog := w.site("blog", hello).asleep()
			other := w.site("other", hello).asleep()
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() { w.do("GET", "http://blog.test/", nil) })
			}
			eventually(t, "three are held", func() bool { return w.proxy.held.Load() == 3 })
			url := "http://blog.test/"
			if c.other {
				url = "http://other.test/"
			}
			res := w.do("GET", url, nil)
			same(t, "status of one too many", res.StatusCode, 503)
			same(t, "Retry-After", res.Header.Get("Retry-After"), "10")
			page := w.browser(url)
			same(t, "status of a browser too many", page.StatusCode, 503)
			if !strings.Contains(page.body, "/.well-known/petitpont/wake") {
				t.Error("a browser too many should wait on the waking page")
			}
			close(blog.rise)
			close(other.rise)
			all.Wait()
			same(t, "status afterwards", w.do("GET", url, nil).StatusCode, 200)
			same(t, "held", w.proxy.held.Load(), 0)
		})
	}
}

func TestASiteTakesABoundedNumberOfRequestsAtOnce(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Open = 2 })
	release := make(chan struct{})
	blog := w.site("blog", func(http.ResponseWriter, *http.Request) { <-release })
	w.site("calm", hello)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { w.do("GET", "http://blog.test/", nil) })
	}
	eventually(t, "two are in the site", func() bool { return blog.inside.Load() == 2 })
	same(t, "third", w.do("GET", "http://blog.test/", nil).StatusCode, 503)
	same(t, "another site", w.do("GET", "http://calm.test/", nil).StatusCode, 200)
	close(release)
	all.Wait()
	same(t, "afterwards", w.do("GET", "http://blog.test/", nil).StatusCode, 200)
}

func TestAVisitorWhoLeavesFreesThePlaceAndDoesNotStopTheWake(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", hello).asleep()
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://blog.test/", nil)
	done := make(chan error, 1)
	go func() { _, err := w.http.Do(req); done <- err }()
	eventually(t, "it is held", func() bool { return w.proxy.held.Load() == 1 })
	cancel()
	<-done
	eventually(t, "the place is free", func() bool { return w.proxy.held.Load() == 0 })
	close(blog.rise)
	same(t, "next visitor", w.do("GET", "http://blog.test/", nil).body, "hello")
	same(t, "starts", blog.starts.Load(), 1)
	eventually(t, "the log says that the visitor left", func() bool { return strings.Contains(w.log.String(), `"st":499`) })
}

func TestAProgramThatWaitsTooLongGetsATimeout(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Wake = 10 * time.Millisecond })
	blog := w.site("blog", hello).asleep()
	same(t, "status", w.do("POST", "http://blog.test/", strings.NewReader("x")).StatusCode, 504)
	close(blog.rise)
}

func TestTheWakePollSaysHowItStands(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Poll = 10 * time.Millisecond })
	blog := w.site("blog", hello).asleep()
	ill := w.site("ill", hello)
	ill.refuse = &site.Error{Code: site.CodeSilent}
	poll := func(name string) string {
		res := w.do("GET", "http://"+name+".test/.well-known/petitpont/wake", nil)
		same(t, "Cache-Control", res.Header.Get("Cache-Control"), "no-store")
		var got struct{ State string }
		json.Unmarshal([]byte(res.body), &got)
		return got.State
	}
	same(t, "asleep", poll("blog"), wakeWaking)
	close(blog.rise)
	eventually(t, "up", func() bool { return poll("blog") == wakeAwake })
	same(t, "ill", poll("ill"), wakeFailed)
	same(t, "nobody", w.do("GET", "http://nobody.test/.well-known/petitpont/wake", nil).StatusCode, 404)
	same(t, "in flight", blog.inside.Load(), 0)
}

func TestEveryReasonOfTheHeartHasItsPage(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		word   string
	}{
		{&site.Error{Code: site.CodeStopped}, 503, "arrêté"},
		{&site.Error{Code: site.CodeNotFound}, 404, "Aucun site"},
		{&site.Error{Code: site.CodeSilent}, 502, "ne répond pas"},
		{&site.Error{Code: site.CodeServerEnded}, 502, "ne répond pas"},
		{&site.Error{Code: site.CodeSiteMemory}, 502, "ne répond pas"},
		{&site.Error{Code: site.CodeDiskBroken}, 502, "ne répond pas"},
		{&site.Error{Code: site.CodeDiskMissing}, 502, "ne répond pas"},
		{&site.Error{Code: site.CodeLooping}, 502, "ne répond pas"},
		{&site.Error{Code: site.CodeNoTemplate}, 502, "ne répond pas"},
		{&site.Error{Code: site.CodeHostMemory}, 503, "Trop de sites"},
		{&site.Error{Code: site.CodeHostDisk}, 503, "Trop de sites"},
		{&site.Error{Code: site.CodeRuntimeDown}, 503, "interrompus un instant"},
		{&site.Error{Code: site.CodeBusy}, 503, "interrompus un instant"},
		{fmt.Errorf("wrapped: %w", &site.Error{Code: site.CodeStopped}), 503, "arrêté"},
		{&site.Error{Code: site.CodeUnexpected}, 500, "n’a pas fonctionné"},
		{errors.New("secret detail"), 500, "n’a pas fonctionné"},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			w := newWorld(t, nil)
			w.site("blog", hello).refuse = c.err
			res := w.browser("http://blog.test/", "Accept-Language", "fr")
			same(t, "status", res.StatusCode, c.status)
			if !strings.Contains(res.body, c.word) {
				t.Errorf("page does not say %q: %s", c.word, res.body)
			}
			if strings.Contains(res.body, "secret detail") {
				t.Error("page tells a technical detail")
			}
		})
	}
}

func TestAnOwnerFindsTheReferenceOfTheFailureInTheLinkAndInTheLog(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", hello)
	blog.refuse = &site.Error{Code: site.CodeSilent}
	blog.row.Fault = &site.Fault{Code: site.CodeSilent, Ref: "7F3A-21"}
	res := w.browser("http://blog.test/", "Accept-Language", "en")
	if !strings.Contains(res.body, `href="https://panel.example/s/blog?ref=7F3A-21"`) {
		t.Errorf("no link with the site's own reference: %s", res.body)
	}
	if !strings.Contains(w.log.String(), `"ref":"7F3A-21"`) {
		t.Error("reference is not in the log")
	}
}

func TestClosingTheDoorLetsNobodyWait(t *testing.T) {
	w := newWorld(t, nil)
	blog := w.site("blog", hello).asleep()
	defer close(blog.rise)
	got := make(chan answer, 1)
	go func() { got <- w.do("GET", "http://blog.test/", nil) }()
	eventually(t, "it is held", func() bool { return w.proxy.held.Load() == 1 })
	if err := w.srv.Config.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "status", (<-got).StatusCode, 503)
}
