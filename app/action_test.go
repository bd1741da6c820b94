package app_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"petitpont/runtime"
	"petitpont/site"
)

// errSecret is a cause that no reader may see.
var errSecret = errors.New("disk on fire")

// house has a site of eleve's in a state.
func house(t *testing.T, state site.State) (*panel, *browser) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", state, nil)
	b := p.signedIn("eleve")
	p.sites.Calls()
	return p, b
}

func TestVerbsWithoutScripts(t *testing.T) {
	for verb, says := range map[string]string{
		"start": "Start of blog requested.", "stop": "Stop of blog requested.", "restart": "Restart of blog requested.",
	} {
		t.Run(verb, func(t *testing.T) {
			p, b := house(t, site.Awake)
			b.post("/s/blog/"+verb, "next", "/").goesTo(t, "/")
			method := strings.ToUpper(verb[:1]) + verb[1:]
			if calls := p.sites.Calls(); !slices.Contains(calls, method+" blog") {
				t.Errorf("calls: %q", calls)
			}
			b.get("/").want(t, 200, says)
			b.get("/").want(t, 200).lacks(t, says) // said once
		})
	}
}

func TestVerbWithScriptsLetsThePageLookAgain(t *testing.T) {
	_, b := house(t, site.Awake)
	b.get("/lang")
	b.do(request{method: "POST", path: "/lang", form: []string{"lang", "fr"}})
	a := b.part("POST", "/s/blog/restart", "/s/blog", "next", "/s/blog")
	if a.code != http.StatusNoContent {
		t.Fatalf("status %d\n%s", a.code, a.body)
	}
	raw := a.Get("HX-Trigger")
	if strings.ContainsFunc(raw, func(r rune) bool { return r >= 0x80 }) {
		t.Errorf("header is not ASCII: %q", raw)
	}
	var event map[string]struct{ Say string }
	if err := json.Unmarshal([]byte(raw), &event); err != nil || event["petitpont:changed"].Say != "Redémarrage de blog demandé." {
		t.Errorf("event %q: %v", raw, err)
	}
}

func TestVerbWithScriptsElsewhereMovesOn(t *testing.T) {
	_, b := house(t, site.Awake)
	a := b.part("POST", "/s/blog/delete", "/s/blog", "next", "/", "confirm", "blog")
	if a.code != http.StatusOK || a.Get("HX-Redirect") != "/" {
		t.Fatalf("answer %d to %q", a.code, a.Get("HX-Redirect"))
	}
	b.get("/").want(t, 200, "Deletion of blog requested.")
}

func TestRefusedVerbIsSaidBesideTheButton(t *testing.T) {
	p, b := house(t, site.Awake)
	p.sites.Fail("Restart", &site.Error{Code: site.CodeBusy, Args: site.Args{"s": "blog", "action": "deleting"}})
	b.part("POST", "/s/blog/restart", "/", "next", "/").want(t, http.StatusConflict, `role="alert"`, "“blog” is busy (being deleted).").lacks(t, "<html")
	b.post("/s/blog/restart").want(t, http.StatusConflict, "<html", "“blog” is busy (being deleted).")
}

func TestRuntimeDownIs503WithAHint(t *testing.T) {
	p, b := house(t, site.Awake)
	p.sites.Fail("Stop", &site.Error{Code: site.CodeRuntimeDown})
	if a := b.post("/s/blog/stop").want(t, 503, "try again in a moment"); a.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestStopIsAskedFirst(t *testing.T) {
	_, b := house(t, site.Awake)
	b.get("/s/blog/stop?next=/").want(t, 200, "<html", "Stop “blog”?", "Your files are kept", `name="next" value="/"`)
	dialog := b.part("GET", "/s/blog/stop?next=/", "/")
	dialog.want(t, 200, `id="dialog-title"`, `hx-post="/s/blog/stop"`, "data-close-dialog autofocus").lacks(t, "<html")
}

func TestDeleteWantsTheName(t *testing.T) {
	for typed, deleted := range map[string]bool{"blog": true, " Blog ": true, "blogg": false, "": false, "other": false} {
		t.Run(typed, func(t *testing.T) {
			p, b := house(t, site.Awake)
			b.get("/s/blog/delete").want(t, 200, "Delete “blog”?", "erased at once", "To confirm, type the name of the site: blog")
			a := b.post("/s/blog/delete", "confirm", typed)
			if deleted {
				a.goesTo(t, "/")
			} else {
				a.want(t, 422, "Nothing was deleted.", `aria-invalid="true"`, `action="/s/blog/delete"`)
			}
			if got := slices.Contains(p.sites.Calls(), "Delete blog"); got != deleted {
				t.Errorf("deleted: %v", got)
			}
		})
	}
}

func TestRefusedDeleteStaysInTheDialog(t *testing.T) {
	_, b := house(t, site.Awake)
	b.part("POST", "/s/blog/delete", "/", "confirm", "x", "next", "/").
		want(t, 422, `id="dialog-title"`, "You typed “x”; the site is called “blog”. Nothing was deleted.").lacks(t, "<html")
}

func TestTwoDeletesAtOnce(t *testing.T) {
	p, b := house(t, site.Awake)
	p.sites.Fail("Delete", &site.Error{Code: site.CodeBusy, Args: site.Args{"s": "blog", "action": "deleting"}})
	b.post("/s/blog/delete", "confirm", "blog").want(t, 409, "being deleted")
}

func TestAForeignSiteDoesNotExist(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("prof", "cours", site.Awake, nil)
	b := p.signedIn("eleve")
	for _, path := range []string{"/s/cours", "/s/cours/stop", "/s/cours/delete", "/s/cours/progress", "/s/none"} {
		b.get(path).want(t, 404, "This site does not exist, or you have no access to it.")
	}
	b.post("/s/cours/delete", "confirm", "cours").want(t, 404)
	p.signedIn("prof").get("/s/cours").want(t, 200, "Online")
}

func TestUnchangedRegionIsNotSentAgain(t *testing.T) {
	p, b := house(t, site.Awake)
	for _, path := range []string{"/", "/s/blog", "/s/blog/progress"} {
		first := b.part("GET", path, path).want(t, 200, "data-live").lacks(t, "<html")
		_, rest, _ := strings.Cut(first.body, `&#34;v&#34;:&#34;`)
		v, _, ok := strings.Cut(rest, `&#34;`)
		if !ok || v == "" {
			t.Fatalf("%s: no fingerprint in %s", path, first.body)
		}
		b.part("GET", path+"?v="+v, path).want(t, http.StatusNoContent)
	}
	first := b.part("GET", "/", "/")
	p.sites.Set("blog", func(s *site.Site) { s.State = site.Stopping })
	_, rest, _ := strings.Cut(first.body, `&#34;v&#34;:&#34;`)
	v, _, _ := strings.Cut(rest, `&#34;`)
	b.part("GET", "/?v="+v, "/").want(t, 200, "Stopping…", "every 2s")
}

func TestPaceFollowsTheState(t *testing.T) {
	for state, pace := range map[site.State]string{
		site.Awake: "every 5s", site.Asleep: "every 5s", site.Failed: "every 5s",
		site.Waking: "every 2s", site.Stopping: "every 2s", site.Creating: "every 2s", site.Deleting: "every 2s",
	} {
		_, b := house(t, state)
		b.get("/").want(t, 200, pace)
		b.get("/s/blog").want(t, 200, pace)
	}
}

func TestWatchedListThatBecomesEmptyTurnsIntoTheWelcome(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	if to := b.part("GET", "/", "/").want(t, 200).Get("HX-Redirect"); to != "/" {
		t.Fatalf("sent on to %q, want /", to)
	}
	b.get("/").want(t, 200, "action=\"/new\"")
}

func TestSilentRuntimeNeverSaysOnline(t *testing.T) {
	p, b := house(t, site.Awake)
	p.sites.Fail("Usage", runtime.ErrDown)
	b.get("/").want(t, 200, "State unknown", "The service that runs the sites is not answering").lacks(t, "state-green")
	b.get("/s/blog").want(t, 200, "State unknown", "Readings are not available").lacks(t, "state-green")
}

func TestOverviewSaysHowToPutFiles(t *testing.T) {
	_, b := house(t, site.Asleep)
	b.get("/s/blog").want(t, 200, "Asleep", "wakes on the first visit", "sftp -P 2222 eleve+blog@localhost",
		"scp -r -P 2222 ./site/* eleve+blog@localhost:/www/", "sftp -P 2222 eleve@localhost", "SHA256:abc", "http://blog.localhost:8080/", `aria-label="Wake blog"`)
}

func TestUnexpectedErrorsShareAReferenceWithTheLog(t *testing.T) {
	p, b := house(t, site.Awake)
	p.sites.Fail("Stop", errSecret)
	a := b.post("/s/blog/stop").want(t, 500, "give reference").lacks(t, "disk on fire")
	_, rest, _ := strings.Cut(a.body, "give reference ")
	ref := rest[:7]
	if log := p.log.String(); !strings.Contains(log, "ref="+ref) || !strings.Contains(log, "disk on fire") {
		t.Errorf("log lacks %q: %s", ref, log)
	}
}

func TestLanguageAndTheme(t *testing.T) {
	p := newPanel(t)
	b := p.browser()
	b.get("/login").want(t, 200, `<html lang="en">`, "Sign in")
	b.post("/lang", "lang", "fr", "next", "/login").goesTo(t, "/login")
	b.post("/theme", "theme", "dark", "next", "/login").goesTo(t, "/login")
	b.get("/login").want(t, 200, `<html lang="fr" data-bs-theme="dark" data-theme="dark">`, "Se connecter")
	b.post("/theme", "theme", "auto").goesTo(t, "/")
	b.post("/lang", "lang", "klingon").goesTo(t, "/")
	b.get("/login").want(t, 200, `<html lang="fr">`)
	b.do(request{method: "GET", path: "/login", header: []string{"Accept-Language", "de"}})
	b.get("/accessibilite").want(t, 200, "Déclaration d’accessibilité", "Défenseur des droits", "n’est pas conforme")
	b.get("/nothing").want(t, 404, "Page introuvable")
}
