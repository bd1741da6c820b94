package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"petitpont/site"

	"github.com/alexedwards/scs/v2"
)

// scopeSites answers nothing but questions about who is who, and notes every other call.
type scopeSites struct {
	Sites
	found []string
}

func (s *scopeSites) Revoked(site.Identity) <-chan struct{} { return nil }

func (s *scopeSites) Find(_ context.Context, _ site.Identity, name string) (site.Site, error) {
	s.found = append(s.found, name)
	return site.Site{}, &site.Error{Code: site.CodeNotFound}
}

// open are the only addresses that answer somebody who has not signed in.
var openRoutes = []string{
	"GET /login", "POST /login", "POST /logout", "POST /lang", "POST /theme", "GET /accessibilite", "GET /robots.txt",
}

// TestEveryRouteIsGuarded walks the routes: below /s/:site each one asks for the site in the name of who is signed in and
// answers 404 when there is none, below /admin each one is 404 to who is no admin, and any other wants somebody signed
// in. A handler that went on would call a method the fake does not have, and panic.
func TestEveryRouteIsGuarded(t *testing.T) {
	sites := &scopeSites{}
	a := New(Config{Sites: sites, Sessions: scs.New(), Log: slog.New(slog.DiscardHandler), SiteURL: func(string) string { return "http://x/" }})
	scoped, admin := 0, 0
	for _, r := range a.echo.Routes() {
		route := r.Method + " " + r.Path
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			t.Errorf("%s: only GET and POST", route)
		}
		path := strings.ReplaceAll(r.Path, ":site", "blog")
		if slices.Contains(openRoutes, route) {
			continue
		}
		if w := ask(a, r.Method, path, nil); w.Code != http.StatusSeeOther && w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d for somebody unknown", route, w.Code)
		}
		switch {
		case strings.HasPrefix(r.Path, "/s/:site"):
			scoped++
			sites.found = nil
			w := ask(a, r.Method, path, &site.Identity{Key: "k", Login: "eleve"})
			if w.Code != http.StatusNotFound || !slices.Equal(sites.found, []string{"blog"}) {
				t.Errorf("%s: %d, asked for %q; it is not scoped", route, w.Code, sites.found)
			}
		case strings.HasPrefix(r.Path, "/admin"):
			admin++
			if w := ask(a, r.Method, path, &site.Identity{Key: "k", Login: "eleve"}); w.Code != http.StatusNotFound {
				t.Errorf("%s: %d for somebody who is no admin", route, w.Code)
			}
		case strings.Contains(r.Path, ":"):
			t.Errorf("%s: a parameter outside a scope", route)
		}
	}
	if scoped < 8 || admin < 2 {
		t.Errorf("walked %d scoped and %d admin routes: the walk itself is broken", scoped, admin)
	}
}

// ask sends a request as who, or as nobody.
func ask(a *App, method, path string, who *site.Identity) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if who != nil {
		r.AddCookie(signIn(a, *who))
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

// signIn makes a session in the store and returns its cookie.
func signIn(a *App, who site.Identity) *http.Cookie {
	w := httptest.NewRecorder()
	a.Sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := a.echo.NewContext(r, w)
		if err := a.open(c, who, false); err != nil {
			panic(err)
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Result().Cookies()[0]
}
