package proxy

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"petitpont/site"
	"petitpont/views/i18n"
)

var pages = flag.String("pages", "", "folder to leave every page in, to be looked at in a browser")

// kinds is every page.
var kinds = []*kind{
	pageWaking, pageStopped, pageUnknown, pageDown, pageSlow, pageFull, pageCrowded, pagePaused, pageFault, pageLarge,
	pageBad, pageMethod, pageMisdirected, pageNothing,
}

// shown is what page k looks like to a visitor with these headers.
func shown(t *testing.T, k *kind, headers ...string) *http.Response {
	t.Helper()
	p := New(Config{PanelURL: "https://panel.example/"})
	r := httptest.NewRequest("GET", "http://atelier-photo.sites.example.org/", nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got := httptest.NewRecorder()
	v := p.visit(got, r)
	v.host, v.site = "atelier-photo.sites.example.org", site.Site{Name: "atelier-photo"}
	if k == pageDown || k == pageSlow || k == pageFault {
		v.w.ref = "7F3A-21"
	}
	v.showWith(k, "n", map[bool]string{true: "60", false: "10"}[k == pageSlow || k == pageFull])
	return got.Result()
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

var accepted = map[string]string{"french": "fr-FR,fr;q=0.9,en;q=0.8", "english": "en-GB,en;q=0.9,fr;q=0.5", "neither": "de-DE,de"}

func TestEveryPageIsSmallWholeAndSelfContained(t *testing.T) {
	for _, k := range kinds {
		for name, accept := range accepted {
			t.Run(k.name+" "+name, func(t *testing.T) {
				res := shown(t, k, "Accept", "text/html", "Accept-Language", accept)
				page := read(t, res)
				if *pages != "" {
					if err := os.WriteFile(filepath.Join(*pages, k.name+"-"+name+".html"), []byte(page), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				same(t, "status", res.StatusCode, k.status)
				same(t, "Cache-Control", res.Header.Get("Cache-Control"), "no-store")
				same(t, "X-Robots-Tag", res.Header.Get("X-Robots-Tag"), "noindex")
				same(t, "type", res.Header.Get("Content-Type"), "text/html; charset=utf-8")
				if len(page) >= 6<<10 {
					t.Errorf("%d bytes", len(page))
				}
				same(t, "h1", strings.Count(page, "<h1>"), 1)
				if strings.ContainsAny(page, "{}") && regexp.MustCompile(`[^a-z]\{[a-z.-]+\}`).MatchString(withoutCode(page)) {
					t.Errorf("a placeholder was left: %s", withoutCode(page))
				}
				for _, link := range regexp.MustCompile(`(?:src|href|url)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
					if l := link[1]; l != "" && !strings.HasPrefix(l, "https://panel.example/") && !strings.HasPrefix(l, "data:") {
						t.Errorf("asks for %s", l)
					}
				}
				if err := wellFormed(page); err != nil {
					t.Errorf("%v in %s", err, page)
				}
			})
		}
	}
}

// withoutCode leaves the words of a page.
func withoutCode(page string) string {
	return regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`).ReplaceAllString(page, "")
}

// wellFormed reads HTML as strictly as XML, but for the elements that have no end.
func wellFormed(page string) error {
	page = regexp.MustCompile(`<(meta|link)([^>]*)>`).ReplaceAllString(withoutCode(page), "<$1$2/>")
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(page, "<!doctype html>")))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestThePolicyAllowsExactlyThePagesOwnStyleAndScript(t *testing.T) {
	res := shown(t, pageWaking, "Accept", "text/html")
	page, policy := read(t, res), res.Header.Get("Content-Security-Policy")
	for _, tag := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		if len(found) != 1 || !strings.Contains(policy, tag+"-src '"+hash(found[0][1])+"'") {
			t.Errorf("%s is not what the policy allows: %s", tag, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(page, " style=") || strings.Contains(page, " onclick") {
		t.Error("something unsafe")
	}
}

func TestPagesSpeakTheVisitorsLanguageOrBoth(t *testing.T) {
	for accept, want := range map[string]struct {
		lang   string
		fr, en bool
	}{
		"fr":                      {"fr", true, false},
		"fr-CA,en;q=0.5":          {"fr", true, false},
		"en-US,en;q=0.9,fr;q=0.8": {"en", false, true},
		"de,en;q=0.5":             {"en", false, true},
		"de":                      {"fr", true, true},
		"":                        {"fr", true, true},
		"*":                       {"fr", true, true},
	} {
		page := read(t, shown(t, pageStopped, "Accept", "text/html", "Accept-Language", accept))
		same(t, accept+": lang", strings.Contains(page, `<html lang="`+want.lang+`"`), true)
		same(t, accept+": French", strings.Contains(page, "Ce site est arrêté"), want.fr)
		same(t, accept+": English", strings.Contains(page, "This site is stopped"), want.en)
	}
}

func TestPagesTakeTheFormTheVisitorCanRead(t *testing.T) {
	for accept, want := range map[string]string{
		"text/html,*/*;q=0.8":             "text/html; charset=utf-8",
		"TEXT/HTML":                       "text/html; charset=utf-8",
		"application/json":                "application/json",
		"application/json, text/plain, *": "application/json",
		"application/json,text/html":      "text/html; charset=utf-8",
		"*/*":                             "text/plain; charset=utf-8",
		"image/avif,image/webp":           "text/plain; charset=utf-8",
		"":                                "text/plain; charset=utf-8",
	} {
		same(t, accept, shown(t, pageStopped, "Accept", accept).Header.Get("Content-Type"), want)
	}
	line := read(t, shown(t, pageDown, "Accept", "*/*", "Accept-Language", "en"))
	same(t, "one line", line, "This site is not answering: The problem is with the site, not your connection. [7F3A-21]\n")
	var said struct {
		Error, Message, Ref string
		Retry               int
	}
	if err := json.Unmarshal([]byte(read(t, shown(t, pageFull, "Accept", "application/json"))), &said); err != nil {
		t.Fatal(err)
	}
	same(t, "error", said.Error, "full")
	same(t, "retry", said.Retry, 60)
}

func TestOwnersAreLedToThePanel(t *testing.T) {
	for k, want := range map[*kind]string{
		pageStopped: `href="https://panel.example/s/atelier-photo"`,
		pageUnknown: `href="https://panel.example/new?name=atelier-photo"`,
		pageDown:    `href="https://panel.example/s/atelier-photo?ref=7F3A-21"`,
		pageSlow:    `href="https://panel.example/s/atelier-photo?ref=7F3A-21"`,
	} {
		if page := read(t, shown(t, k, "Accept", "text/html")); !strings.Contains(page, want) {
			t.Errorf("%s: no %s in %s", k.name, want, withoutCode(page))
		}
	}
}

func TestEverySentenceOfThePagesExists(t *testing.T) {
	for _, k := range kinds {
		for _, part := range []string{"title", "text"} {
			same(t, k.name+"."+part, i18n.Has("proxy."+k.name+"."+part), true)
		}
		same(t, k.name+".owner", i18n.Has("proxy."+k.name+".owner"), k.owner != "")
	}
}

func TestAHostIsNeverMarkup(t *testing.T) {
	w := newWorld(t, nil)
	for _, host := range []string{`<script>alert(1)</script>.test`, `"onload=x.test`, `a'b.test`} {
		same(t, host, w.ask(t, "GET / HTTP/1.1\r\nHost: "+host+"\r\nAccept: text/html\r\n\r\n"), 400)
	}
}

func TestAFormIsNotSentAgainByItself(t *testing.T) {
	w := newWorld(t, nil)
	w.site("blog", hello).refuse = &site.Error{Code: site.CodeHostMemory}
	post := w.do("POST", "http://blog.test/", nil, "Accept", "text/html")
	if strings.Contains(post.body, "<script>") || strings.Contains(post.body, "http-equiv") {
		t.Error("a page in answer to a POST reloads itself")
	}
	if get := w.browser("http://blog.test/"); !strings.Contains(get.body, `data-retry="60"`) {
		t.Error("a page in answer to a GET does not")
	}
}
