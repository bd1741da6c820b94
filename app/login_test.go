package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"petitpont/app"
	"petitpont/site"
)

func TestSignInLeadsToOwnSites(t *testing.T) {
	b := newPanel(t).browser()
	b.get("/").goesTo(t, "/login?next=%2F")
	b.get("/login").want(t, http.StatusOK, "Sign in", `autocomplete="current-password"`)
	b.post("/login", "login", "eleve", "password", "petitpont").goesTo(t, "/")
	b.get("/").want(t, http.StatusOK, "Welcome Marie", `value="eleve"`)
	b.get("/login").goesTo(t, "/")
}

func TestRefusedSignIn(t *testing.T) {
	for name, c := range map[string]struct {
		err    *site.Error
		code   int
		says   string
		header string // Retry-After
	}{
		"wrong password":  {nil, 401, "Wrong user name or password.", ""},
		"too many tries":  {&site.Error{Code: site.CodeTooManyTries, Args: site.Args{"s": "42"}}, 429, "try again in 42 seconds", "42"},
		"directory down":  {&site.Error{Code: site.CodeDirectoryDown}, 503, "Your sites stay online.", "10"},
		"directory deny":  {&site.Error{Code: site.CodeDirectoryDeny}, 503, "refused the petitpont server", "10"},
		"no role":         {&site.Error{Code: site.CodeNoRole, Args: site.Args{"login": "eleve"}}, 403, "(eleve) does not include a site", ""},
		"store is broken": {&site.Error{Code: site.CodeUnexpected}, 500, "give reference", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPanel(t)
			if c.err != nil {
				p.sites.Fail("Login", c.err)
			}
			b := p.browser()
			a := b.post("/login", "login", "eleve", "password", "s3cret-word", "next", "/new")
			a.want(t, c.code, c.says).lacks(t, "s3cret-word")
			if c.code != 500 {
				a.want(t, c.code, `value="eleve"`, `name="next" value="/new"`)
			}
			if got := a.Get("Retry-After"); got != c.header {
				t.Errorf("Retry-After %q, want %q", got, c.header)
			}
			if strings.Contains(p.log.String(), "s3cret-word") {
				t.Error("the password stands in the log")
			}
			b.get("/").goesTo(t, "/login?next=%2F")
		})
	}
}

func TestNextStaysOnThePanel(t *testing.T) {
	for next, want := range map[string]string{
		"/s/blog?x=1": "/s/blog?x=1", "/admin/sites?q=a%26b": "/admin/sites?q=a%26b", "": "/",
		"https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/", "/%5cevil.example": "/",
		"/\t/evil.example": "/", "/%09/evil.example": "/", "/%2f%2fevil.example": "/", "javascript:alert(1)": "/", "s/blog": "/",
		"http:/evil.example": "/", "///evil.example": "/", "/%2Fevil.example": "/", "\n//evil.example": "/",
	} {
		b := newPanel(t).browser()
		b.post("/login", "login", "eleve", "password", "petitpont", "next", next).goesTo(t, want)
		b.post("/lang", "lang", "en", "next", next).goesTo(t, want)
	}
}

func TestSignInChangesTheToken(t *testing.T) {
	p := newPanel(t)
	b := p.browser()
	u, _ := url.Parse(p.url)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "pp-session", Value: "planted"}})
	b.post("/login", "login", "eleve", "password", "petitpont").goesTo(t, "/")
	first := b.cookie("pp-session")
	if first == "planted" || first == "" {
		t.Fatalf("token after sign-in is %q", first)
	}
	b.post("/login", "login", "eleve", "password", "petitpont").goesTo(t, "/")
	if b.cookie("pp-session") == first {
		t.Error("a second sign-in kept the token")
	}
	p.holding(first).get("/").goesTo(t, "/login?next=%2F&expired=1")
}

// holding is a browser somebody copied a session cookie into.
func (p *panel) holding(token string) *browser {
	b := p.browser()
	u, _ := url.Parse(p.url)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "pp-session", Value: token}})
	return b
}

func TestStoreHoldsNoToken(t *testing.T) {
	p := newPanel(t)
	token := p.signedIn("eleve").cookie("pp-session")
	all, err := p.store.All()
	if err != nil || len(all) != 1 {
		t.Fatalf("store has %d sessions: %v", len(all), err)
	}
	if _, found, _ := p.store.Find(token); found {
		t.Error("the token itself is a key of the store")
	}
}

func TestSignOutEndsTheSessionOnTheServer(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	token := b.cookie("pp-session")
	b.post("/logout").goesTo(t, "/login?out=1")
	b.get("/login?out=1").want(t, http.StatusOK, "You are signed out.")
	p.holding(token).get("/").goesTo(t, "/login?next=%2F&expired=1")
}

func TestSignOutIsNotAGet(t *testing.T) {
	b := newPanel(t).signedIn("eleve")
	b.get("/logout").want(t, http.StatusMethodNotAllowed, "not used that way")
	b.get("/").want(t, http.StatusOK)
}

func TestSessionEnds(t *testing.T) {
	for name, c := range map[string]struct {
		keep bool
		away time.Duration
		in   bool
	}{
		"not after an hour":                    {false, time.Hour, true},
		"after three idle hours":               {false, 3 * time.Hour, false},
		"not while asked to stay, three hours": {true, 3 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPanel(t)
			b := p.browser()
			form := []string{"login", "eleve", "password", "petitpont"}
			if c.keep {
				form = append(form, "keep", "1")
			}
			b.post("/login", form...).goesTo(t, "/")
			p.pass(c.away)
			if a := b.get("/"); (a.code == http.StatusOK) != c.in {
				t.Errorf("status %d after %v", a.code, c.away)
			}
		})
	}
}

func TestAPollIsNoClick(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("eleve")
	for range 5 {
		p.pass(30 * time.Minute)
		b.part("GET", "/?v=x", "/")
	}
	if a := b.part("GET", "/?v=x", "/"); a.code != http.StatusUnauthorized {
		t.Errorf("an open page kept the session alive: %d", a.code)
	}
}

func TestRevokedPersonIsOut(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	p.sites.Revoke("eleve")
	b.get("/").goesTo(t, "/login?next=%2F&expired=1")
	b.get("/login?expired=1").want(t, http.StatusOK, "Your session has expired")
}

func TestIdentityIsTheDirectorysAndNotTheForms(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("prof", "cours", site.Awake, nil)
	b := p.signedIn("eleve")
	b.post("/s/cours/stop", "login", "prof", "owner", "key-prof", "admin", "1").want(t, http.StatusNotFound)
	b.get("/admin?admin=true").want(t, http.StatusNotFound)
}

func TestExpiredFormKeepsWhatWasTyped(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	p.pass(3 * time.Hour)
	a := b.post("/new", "name", "mon été")
	a.want(t, http.StatusUnauthorized, "Your session has expired", `value="/new?name=mon+%C3%A9t%C3%A9"`)
	b.post("/login", "login", "eleve", "password", "petitpont", "next", "/new?name=mon+%C3%A9t%C3%A9").goesTo(t, "/new?name=mon+%C3%A9t%C3%A9")
	b.get("/new?name=mon+%C3%A9t%C3%A9").want(t, http.StatusOK, `value="mon été"`)
}

func TestExpiredScriptIsSentToTheForm(t *testing.T) {
	b := newPanel(t).browser()
	a := b.part("POST", "/s/blog/stop", "/s/blog")
	if a.code != http.StatusUnauthorized || a.Get("HX-Redirect") != "/login?next=%2Fs%2Fblog" {
		t.Errorf("answer %d to %q", a.code, a.Get("HX-Redirect"))
	}
}

func TestCookies(t *testing.T) {
	for name, c := range map[string]struct {
		secure bool
		want   []string
		lack   []string
	}{
		"over HTTPS": {true, []string{"__Host-pp-session=", "; Secure", "; HttpOnly", "; Path=/", "SameSite=Lax"}, []string{"Domain=", "Expires="}},
		"over HTTP":  {false, []string{"pp-session=", "; HttpOnly", "; Path=/", "SameSite=Lax"}, []string{"__Host-", "Secure", "Domain="}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPanel(t, func(c2 *app.Config) { c2.Secure = c.secure }).browser()
			set := b.post("/login", "login", "eleve", "password", "petitpont").Get("Set-Cookie")
			for _, w := range c.want {
				if !strings.Contains(set, w) {
					t.Errorf("%q lacks %q", set, w)
				}
			}
			for _, l := range c.lack {
				if strings.Contains(set, l) {
					t.Errorf("%q has %q", set, l)
				}
			}
		})
	}
}

func TestNobodyIsBelievedAboutTheirAddress(t *testing.T) {
	p := newPanel(t)
	b := p.browser()
	b.do(request{method: "POST", path: "/login", form: []string{"login", "eleve", "password", "petitpont"}, header: []string{
		"X-Forwarded-For", "203.0.113.9", "X-Real-Ip", "203.0.113.9", "Forwarded", "for=203.0.113.9",
	}})
	if log := p.log.String(); !strings.Contains(log, "from=127.0.0.1") || strings.Contains(log, "203.0.113.9") {
		t.Errorf("log: %s", log)
	}
}
