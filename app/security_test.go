package app_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"petitpont/app"
	"petitpont/site"
)

// A page on a student's site is a sibling of the panel: what it sends arrives as "same-site" with the reader's cookies.
func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	for name, header := range map[string][]string{
		"a sibling":                    {"Sec-Fetch-Site", "same-site"},
		"a stranger":                   {"Sec-Fetch-Site", "cross-site"},
		"an old browser, a sibling":    {"Sec-Fetch-Site", "", "Origin", "http://blog.localhost:8080"},
		"an old browser, a sandbox":    {"Sec-Fetch-Site", "", "Origin", "null"},
		"a sibling that copies htmx":   {"Sec-Fetch-Site", "same-site", "HX-Request", "true"},
		"a sibling that names us":      {"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:8000"},
		"a sibling that is overridden": {"Sec-Fetch-Site", "same-site", "X-HTTP-Method-Override", "GET"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPanel(t)
			p.sites.Put("eleve", "blog", site.Awake, nil)
			b := p.signedIn("eleve")
			p.sites.Calls()
			for _, path := range []string{"/s/blog/stop", "/s/blog/delete", "/new", "/logout", "/login", "/lang", "/theme"} {
				a := b.do(request{method: "POST", path: path, header: header, form: []string{"confirm", "blog", "name", "x-y-z"}})
				a.want(t, http.StatusForbidden, "refused")
			}
			if calls := p.sites.Calls(); len(calls) > 0 {
				t.Errorf("the heart was asked: %q", calls)
			}
			b.get("/").want(t, http.StatusOK, "blog")
		})
	}
}

func TestOwnFormsPass(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("eleve")
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Site", "", "Origin", p.url},
	} {
		b.do(request{method: "POST", path: "/s/blog/restart", header: header}).goesTo(t, "/s/blog")
	}
}

func TestHeadIsGetWithoutItsBody(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("eleve")
	for _, path := range []string{"/", "/login", "/accessibilite", "/new", "/s/blog", "/s/nobodys", "/admin", "/nowhere", "/logout", "/robots.txt"} {
		get, head := b.get(path), b.do(request{method: http.MethodHead, path: path})
		if head.code != get.code || head.body != "" {
			t.Errorf("%s: HEAD says %d with %q, GET %d", path, head.code, head.body, get.code)
		}
		for _, name := range []string{"Content-Type", "Content-Security-Policy", "Cache-Control", "Vary", "Allow", "Location"} {
			if head.Get(name) != get.Get(name) {
				t.Errorf("%s: %s is %q, and %q for GET", path, name, head.Get(name), get.Get(name))
			}
		}
	}
}

func TestNoGetChangesAnything(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("eleve")
	p.sites.Calls()
	for _, path := range []string{
		"/s/blog/start", "/s/blog/restart", "/s/blog/stop", "/s/blog/delete?confirm=blog", "/new?name=other", "/logout", "/lang?lang=en",
	} {
		b.get(path)
	}
	for _, call := range p.sites.Calls() {
		switch strings.Fields(call)[0] {
		case "Start", "Stop", "Restart", "Delete", "Create":
			t.Errorf("a GET did %s", call)
		}
	}
	b.get("/").want(t, http.StatusOK, "blog")
}

func TestEveryAnswerIsProtected(t *testing.T) {
	p := newPanel(t, func(c *app.Config) { c.Secure = true })
	h := p.app
	for path, method := range map[string]string{
		"/login": "GET", "/": "GET", "/nothing-here": "GET", "/static/none.css": "GET", "/new": "POST", "/robots.txt": "GET",
		"/admin": "GET", "/s/blog/stop": "POST", "/lang": "POST",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		got := w.Result().Header
		for key, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
		} {
			if got.Get(key) != want {
				t.Errorf("%s %s: %s is %q", method, path, key, got.Get(key))
			}
		}
		policy := got.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s %s: policy %q lacks %q", method, path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s %s: policy %q is loose", method, path, policy)
		}
		if got.Get("Cache-Control") != "no-store" && !strings.HasPrefix(path, "/static/") {
			t.Errorf("%s %s may be stored: %q", method, path, got.Get("Cache-Control"))
		}
	}
}

func TestPlainHTTPPromisesNoHTTPS(t *testing.T) {
	if got := newPanel(t).browser().get("/login").Get("Strict-Transport-Security"); got != "" {
		t.Errorf("HSTS %q on plain HTTP", got)
	}
}

func TestPanelLivesOnOneHost(t *testing.T) {
	p := newPanel(t, func(c *app.Config) { c.PanelURL = "http://localhost:8000" })
	b := p.browser()
	a := b.get("/s/blog?x=1")
	if a.code != http.StatusTemporaryRedirect || a.Get("Location") != "http://localhost:8000/s/blog?x=1" {
		t.Errorf("another host: %d to %q", a.code, a.Get("Location"))
	}
	b.post("/login", "login", "eleve", "password", "petitpont").want(t, http.StatusMisdirectedRequest)

	own := newPanel(t, func(c *app.Config) { c.PanelURL = "https://panel.ecole.fr:443/" })
	r := httptest.NewRequest("GET", "/login", nil)
	r.Host = "Panel.ecole.fr"
	w := httptest.NewRecorder()
	own.app.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("its own host: %d to %q", w.Code, w.Header().Get("Location"))
	}
}

// hostile is what names, directories and logs may hold (RULE TEXT).
const hostile = `"><img src=x onerror=alert(1)><script>alert(2)</script>' hx-get="/logout" {{7*7}} javascript:alert(3)`

func TestNothingOfATenantBecomesMarkup(t *testing.T) {
	p := newPanel(t)
	p.sites.Add("mallory", hostile+" "+hostile, site.Student, true)
	p.sites.Put("mallory", "blog", site.Failed, func(s *site.Site) {
		s.OwnerLogin = hostile
		s.Fault = &site.Fault{Code: site.CodeLooping, Args: site.Args{"s": hostile, "n": "5", "cause": hostile}, Log: hostile, Ref: hostile}
	})
	b := p.signedIn("mallory")
	p.sites.Put("asso", "vide", site.Awake, func(s *site.Site) { s.OwnerLogin = hostile })
	p.sites.Fail("CheckName", &site.Error{Code: site.CodeNameBad, Args: site.Args{"c": hostile, "fix": hostile}})
	p.sites.Fail("Create", &site.Error{Code: site.CodeNameTaken, Args: site.Args{"n": hostile, "a": hostile, "b": hostile}})
	pages := map[string]answer{
		"dashboard": b.get("/"), "overview": b.get("/s/blog"), "progress": b.get("/s/blog/progress"),
		"admin": b.get("/admin"), "list": b.get("/admin/sites?q=" + "%22%3E%3Cscript%3Ealert(2)%3C/script%3E"),
		"all": b.get("/admin/sites"), "delete": b.post("/s/blog/delete", "confirm", hostile, "next", hostile),
		"create": b.post("/new", "name", hostile, "stack", hostile), "check": b.get("/new/check?name=" + "%3Cscript%3Ealert(2)%3C/script%3E"),
		"missing": b.get("/%3Cscript%3Ealert(2)%3C/script%3E"), "foreign": b.get("/s/%22%3E%3Cscript%3E"),
		"login": p.browser().post("/login", "login", hostile, "password", "x", "next", hostile),
		"new":   b.get("/new?name=" + "%22%3E%3Cscript%3Ealert(2)%3C/script%3E"),
	}
	for name, a := range pages {
		if a.code >= 500 {
			t.Errorf("%s: %d", name, a.code)
		}
		a.lacks(t, "<img src=x", "<script>alert", `' hx-get="/logout"`, `href="javascript:`)
	}
}

func TestTooMuchIsRefusedBeforeItIsRead(t *testing.T) {
	b := newPanel(t).signedIn("eleve")
	b.post("/new", "name", strings.Repeat("x", 100<<10)).want(t, http.StatusRequestEntityTooLarge, "too large to be read")
}

func TestAPanicIsAnswered(t *testing.T) {
	p := newPanel(t, func(c *app.Config) { c.SiteURL = func(string) string { panic("no address") } })
	b := p.signedIn("eleve")
	b.get("/new").want(t, http.StatusInternalServerError, "give reference")
	if !strings.Contains(p.log.String(), "no address") {
		t.Error("the panic is not in the log")
	}
}

func TestWhereARequestComesFrom(t *testing.T) {
	const claim = "198.51.100.9, 203.0.113.7"
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		claim   string
		want    string
	}{
		"is the peer, whatever it claims":           {nil, claim, "127.0.0.1"},
		"is what a trusted proxy says":              {loopback, claim, "203.0.113.7"},
		"is the first that no trusted proxy is":     {append(loopback, netip.MustParsePrefix("203.0.113.0/24")), claim, "198.51.100.9"},
		"is not what a stranger behind it made up":  {loopback, "127.0.0.1, 203.0.113.7", "203.0.113.7"},
		"is the proxy itself when it says nothing":  {loopback, "", "127.0.0.1"},
		"is the proxy itself when it says nonsense": {loopback, "<script>", "127.0.0.1"},
		"is found in IPv6 too":                      {loopback, "2001:db8::7", "2001:db8::7"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPanel(t, func(a *app.Config) { a.Trusted = c.trusted })
			header := []string{"X-Real-Ip", "192.0.2.1"}
			if c.claim != "" {
				header = append(header, "X-Forwarded-For", c.claim)
			}
			p.browser().do(request{
				method: "POST", path: "/login", form: []string{"login", "eleve", "password", "petitpont"}, header: header,
			}).goesTo(t, "/")
			if got := p.log.String(); !strings.Contains(got, "from="+c.want+"\n") {
				t.Errorf("want %s in %s", c.want, got)
			}
		})
	}
}
