package app_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"petitpont/app"
	"petitpont/runtime/fake"
	"petitpont/site"
	"petitpont/site/sitetest"
)

// TestLifeOfASiteOverTheRealHeart walks the panel as a person without scripts does, over the real Service and a driver
// without a kernel: what the pages offer is what the heart takes.
func TestLifeOfASiteOverTheRealHeart(t *testing.T) {
	heart := openHeart(t)
	p := newPanel(t, func(c *app.Config) { c.Sites, c.Now = heart, time.Now })
	b := p.browser()
	b.post("/login", "login", "eleve", "password", "wrong").want(t, http.StatusUnauthorized, "Wrong user name or password.")
	b.post("/login", "login", "eleve", "password", "petitpont").goesTo(t, "/")
	b.get("/").want(t, 200, "Create my site", `value="eleve"`)
	b.post("/new", "name", "École").goesTo(t, "/s/ecole/progress")
	b.waitFor("/s/ecole", "Online")
	b.get("/s/ecole/progress").want(t, 200, "ecole is online").lacks(t, "to come", "in progress")
	b.post("/new", "name", "ecole").want(t, 422, "“ecole” is already taken. Available: ")

	b.post("/s/ecole/stop").goesTo(t, "/s/ecole")
	b.waitFor("/s/ecole", "Stopped")
	b.post("/s/ecole/start").goesTo(t, "/s/ecole")
	b.waitFor("/s/ecole", "Online")
	b.post("/s/ecole/restart").goesTo(t, "/s/ecole")
	b.waitFor("/s/ecole", "Online")

	admin := p.signedIn("admin")
	admin.get("/admin/sites?q=eleve").want(t, 200, `href="/s/ecole"`, "eleve")
	admin.get("/admin/sites?state=stopped").want(t, 200, "No site matches.")
	admin.get("/admin").want(t, 200, "Nothing to do.", "1 site in all")
	p.signedIn("prof").get("/s/ecole").want(t, 404)

	b.post("/s/ecole/delete", "confirm", "ecol").want(t, 422, "Nothing was deleted.")
	b.post("/s/ecole/delete", "confirm", "Ecole").goesTo(t, "/")
	b.waitFor("/s/ecole", "does not exist")
	b.get("/").want(t, 200, "Create my site")
}

func TestSignInIsThrottledByTheRealHeart(t *testing.T) {
	heart := openHeart(t)
	b := newPanel(t, func(c *app.Config) { c.Sites = heart }).browser()
	for range 50 {
		a := b.post("/login", "login", "eleve", "password", "wrong")
		if a.code == http.StatusTooManyRequests {
			if a.Get("Retry-After") == "" || strings.Contains(a.body, "{s}") {
				t.Errorf("Retry-After %q\n%s", a.Get("Retry-After"), a.body)
			}
			return
		}
		a.want(t, http.StatusUnauthorized)
	}
	t.Error("fifty wrong passwords, and no end")
}

func TestRevocationByTheRealHeartEndsTheSession(t *testing.T) {
	heart := openHeart(t)
	b := newPanel(t, func(c *app.Config) { c.Sites = heart }).signedIn("eleve")
	b.get("/").want(t, 200)
	who, err := heart.Login(t.Context(), "eleve", "petitpont", netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := heart.Revoke(t.Context(), who.Key); err != nil {
		t.Fatal(err)
	}
	b.get("/").goesTo(t, "/login?next=%2F&expired=1")
}

func openHeart(t *testing.T) *site.Service {
	t.Helper()
	people := sitetest.NewDirectory()
	for _, login := range []string{"eleve", "prof", "admin"} {
		people.Add(people.Who(login), "petitpont")
	}
	driver := fake.New(t.TempDir())
	t.Cleanup(func() { _ = driver.Close() })
	heart, err := site.Open(t.Context(), site.Config{
		ReadHost: func() (site.HostReading, error) { return site.HostReading{MemoryMax: 8 << 30}, nil },
		Driver:   driver, Store: sitetest.NewStore(), Directory: people, Domain: "localhost", Every: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = heart.Close(ctx)
	})
	return heart
}

// waitFor asks for a page until it says something.
func (b *browser) waitFor(path, text string) {
	b.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		a := b.get(path)
		if strings.Contains(a.body, text) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s never said %q:\n%s", path, text, a.body)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
