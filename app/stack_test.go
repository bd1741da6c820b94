package app_test

import (
	"strings"
	"testing"

	"petitpont/app/apptest"
	"petitpont/runtime"
	"petitpont/site"
)

func TestAPageSaysSinceWhenTheProcessorWasUsed(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("eleve")
	b.get("/s/blog").want(t, 200, "3.2\u00a0s since its start, at most 100% of a core")
	b.do(request{method: "GET", path: "/s/blog", header: []string{"Accept-Language", "fr"}}).want(t, 200,
		"3,2\u00a0s depuis le démarrage, 100\u00a0% d’un cœur au plus")
}

func TestCardsAndOptionsMakeTheStack(t *testing.T) {
	for name, c := range map[string]struct {
		form []string
		want site.Stack
	}{
		"a card alone":                        {[]string{"stack", "php-mariadb"}, site.Stack{Server: "nginx", Language: "php", Database: "mariadb"}},
		"no card is the usual one":            {nil, site.Stack{Server: "nginx", Language: "php", Database: "none"}},
		"an unknown card is the usual one":    {[]string{"stack", "cobol"}, site.Stack{Server: "nginx", Language: "php", Database: "none"}},
		"options over a card":                 {[]string{"stack", "python", "server", "caddy", "database", "postgresql"}, site.Stack{Server: "caddy", Language: "python", Database: "postgresql"}},
		"no database over a card with one":    {[]string{"stack", "php-mariadb", "server", "apache", "database", "none"}, site.Stack{Server: "apache", Language: "php", Database: "none"}},
		"an empty option leaves it as it was": {[]string{"stack", "php-mariadb", "server", "nginx", "database", ""}, site.Stack{Server: "nginx", Language: "php", Database: "mariadb"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPanel(t)
			p.signedIn("eleve").post("/new", append([]string{"name", "blog"}, c.form...)...).goesTo(t, "/s/blog/progress")
			s, err := p.sites.Find(t.Context(), site.Identity{Key: "key-eleve"}, "blog")
			if c.want.Template = "web"; err != nil || s.Stack != c.want {
				t.Errorf("%+v, %v", s.Stack, err)
			}
		})
	}
}

func TestACombinationThatIsNotOfferedIsRefused(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	b.post("/new", "name", "blog", "stack", "none", "database", "mariadb").want(t, 422,
		"a database needs a language. Nothing was created.", `value="blog"`, `value="none" checked`, `id="options" open`,
		`aria-invalid="true" aria-describedby="options-fault database-hint"`)
	b.get("/s/blog").want(t, 404)
}

func TestOptionsFollowTheCard(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	b.get("/new").want(t, 200, `hx-get="/new/options"`, "More options", `<option value="caddy">Caddy</option>`,
		"That of the template (none)", `<option value="postgresql">PostgreSQL</option>`, "PHP + MariaDB", "Node.js").lacks(t, `id="options" open`)
	b.part("GET", "/new/options?stack=php-mariadb&server=caddy", "/new").want(t, 200, "That of the template (MariaDB)",
		`<option value="caddy" selected>`).lacks(t, "<html")
	b.part("GET", "/new/options?stack=none", "/new").want(t, 200, "A database needs a language").lacks(t, "mariadb", `name="database"`)
}

func TestOnlyWhatTheTemplateHoldsIsOffered(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	p.sites.SetChoices(site.Choices{Servers: []string{"nginx"}, Languages: []string{"php", "none"}, Databases: []string{"none"}})
	b.get("/new").want(t, 200, `id="stack-php"`, `id="stack-none"`).lacks(t, "mariadb", "caddy", "stack-python")
	p.sites.SetChoices(site.Choices{})
	b.get("/new").want(t, 200, "No template is available. The administrator has to publish one.").lacks(t, `action="/new"`)
}

func withDatabase(s *site.Site) { s.Stack = site.Offers()[1] }

func TestDatabaseOnTheSitesPage(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, withDatabase)
	p.sites.Put("eleve", "plain", site.Awake, nil)
	b := p.signedIn("eleve")
	b.get("/s/blog").want(t, 200, "MariaDB", "/run/mysqld/mysqld.sock", `<details class="secret"><summary aria-label="Show the database password">`,
		apptest.Password, "new PDO(", "getenv(&#39;DB_PASSWORD&#39;)", "import pymysql", "DB_PASSWORD="+apptest.Password, "Copy: Password")
	b.get("/s/plain").want(t, 200).lacks(t, `id="database"`, apptest.Password)
	for _, calls := range p.sites.Calls() {
		if calls == "Database plain" {
			t.Error("the credentials of a site without a database were asked for")
		}
	}
}

// The password is on one page of the owner and of admins; no list, poll, refusal, stranger or log has it.
func TestThePasswordIsNowhereElse(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, withDatabase)
	b, admin := p.signedIn("eleve"), p.signedIn("admin")
	admin.get("/s/blog").want(t, 200, apptest.Password)
	for who, pages := range map[*browser][]string{
		b:                  {"/", "/new", "/s/blog/progress", "/s/blog/stop", "/s/blog/delete"},
		admin:              {"/admin", "/admin/sites", "/admin/templates", "/admin/health"},
		p.signedIn("prof"): {"/s/blog", "/"},
	} {
		for _, page := range pages {
			who.get(page).lacks(t, apptest.Password)
		}
	}
	b.part("GET", "/s/blog", "/s/blog").want(t, 200, "Online").lacks(t, apptest.Password, "<html")
	p.sites.Fail("Database", &site.Error{Code: site.CodeRuntimeDown})
	b.get("/s/blog").want(t, 503).lacks(t, apptest.Password)
	if strings.Contains(p.log.String(), apptest.Password) {
		t.Errorf("the log has it:\n%s", p.log)
	}
}

// Sizes of compressed answers tell something of what is in them (BREACH): the page with the password is not compressed.
func TestThePageWithThePasswordIsNotCompressed(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, withDatabase)
	b := p.signedIn("eleve")
	for path, compressed := range map[string]bool{"/": true, "/s/blog": false} {
		a := b.do(request{method: "GET", path: path, header: []string{"Accept-Encoding", "gzip"}})
		if got := a.Get("Content-Encoding") == "gzip"; got != compressed {
			t.Errorf("%s: compressed %v", path, got)
		}
	}
}

func TestFirstStepsOfEachLanguage(t *testing.T) {
	for language, says := range map[string][]string{
		"php":    {"index.php is the home page", `<code data-text>/www</code>`, "put index.php"},
		"none":   {"index.html is the home page", `<code data-text>/www</code>`},
		"python": {"/app/app.py", "restart the site", `<code data-text>/app</code>`, "localhost:/app/", "“put app.py”"},
		"node":   {"/app/server.js", "process.env.PORT", "restart the site", `<code data-text>/app</code>`, "“put server.js”"},
	} {
		p := newPanel(t)
		p.sites.Put("eleve", "blog", site.Awake, func(s *site.Site) { s.Stack.Language = language })
		p.signedIn("eleve").get("/s/blog").want(t, 200, append(says, "First steps", "nginx")...)
	}
}

func TestAdminChangesLimits(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("admin")
	b.get("/s/blog").lacks(t, "The disk will grow").want(t, 200, "Limits of this site", `placeholder="256"`, "Rule of the role: 256\u00a0MB", "6 of 128").lacks(t, "Go back to the rules")
	b.post("/s/blog/limits", "memory", " 512 ", "cpu", "150", "procs", "200", "disk", "2048").goesTo(t, "/s/blog")
	s, _ := p.sites.Find(t.Context(), site.Identity{Admin: true}, "blog")
	if want := (runtime.Limits{Memory: 512 << 20, CPU: 1500, Procs: 200, Disk: 2 << 30}); s.Own != want {
		t.Errorf("%+v", s.Own)
	}
	b.get("/s/blog").want(t, 200, "Limits of blog applied.", `value="512"`, `value="150"`, `value="2048"`, "6 of 200", "Go back to the rules",
		"The disk will grow to 2\u00a0GB at the next start of the site.")
	b.get("/s/blog").want(t, 200, `<details class="more-limits">`, "More limits", "Rule of the role: as its network has it").lacks(t, `more-limits" open`)
	b.post("/s/blog/limits", "inodes", "5000", "io", "32", "tmp", "16", "files", "1024", "watches", "4096", "terminals", "8", "connections", "90", "rate", "12").goesTo(t, "/s/blog")
	s, _ = p.sites.Find(t.Context(), site.Identity{Admin: true}, "blog")
	if want := (runtime.Limits{Inodes: 5000, IO: 32 << 20, Tmp: 16 << 20, Files: 1024, Watches: 4096, Terminals: 8, Connections: 90, Rate: 12}); s.Own != want {
		t.Errorf("%+v", s.Own)
	}
	b.get("/s/blog").want(t, 200, `<details class="more-limits" open>`, `value="5000"`, `value="32"`, `value="16"`, `value="1024"`, `value="4096"`, `value="8"`, `value="90"`, `value="12"`)
	b.post("/s/blog/limits", "memory", "512", "reset", "1").goesTo(t, "/s/blog")
	if s, _ := p.sites.Find(t.Context(), site.Identity{Admin: true}, "blog"); s.Own != (runtime.Limits{}) {
		t.Errorf("%+v", s.Own)
	}
}

func TestRefusedLimitsKeepWhatWasTyped(t *testing.T) {
	for name, c := range map[string]struct {
		field, typed string
		err          error
		code         int
		says         string
	}{
		"no number":        {"memory", `"><script>`, nil, 422, "Type a whole number"},
		"below zero":       {"procs", "-3", nil, 422, "Type a whole number"},
		"out of all range": {"disk", "99999999999", nil, 422, "Type a whole number"},
		"a smaller disk":   {"disk", "12", nil, 422, "is 1\u00a0GB and can only grow. Nothing was changed."},
		"too little": {
			"memory", "1", &site.Error{Code: site.CodeLimitSize, Args: site.Args{"limit": "memory", "least": "67108864", "most": "1099511627776"}},
			422, "Memory: between 64\u00a0MB and 1\u00a0TB.",
		},
		"too few": {
			"cpu", "1", &site.Error{Code: site.CodeLimitCount, Args: site.Args{"limit": "cpu", "least": "50", "most": "1000000"}},
			422, "Processor: between 5% and 100,000%.",
		},
		"too slow": {
			"io", "1", &site.Error{Code: site.CodeLimitSize, Args: site.Args{"limit": "io", "least": "1048576", "most": "68719476736"}},
			422, "Disk speed: between 1\u00a0MB/s and 64\u00a0GB/s. Nothing was changed.",
		},
		"too many terminals": {
			"terminals", "9999", &site.Error{Code: site.CodeLimitCount, Args: site.Args{"limit": "terminals", "least": "4", "most": "4096"}},
			422, "Terminals: between 4 and 4,096.",
		},
		"no room": {"disk", "4096", &site.Error{Code: site.CodeDiskGrow, Args: site.Args{"s": "blog"}}, 507, "does not have enough disk left to enlarge"},
		"down":    {"memory", "512", &site.Error{Code: site.CodeRuntimeDown}, 503, "is not answering"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPanel(t)
			p.sites.Put("eleve", "blog", site.Awake, nil)
			b := p.signedIn("admin")
			p.sites.Fail("SetLimits", c.err)
			a := b.post("/s/blog/limits", c.field, c.typed).want(t, c.code, c.says, `role="alert"`).lacks(t, "<script>")
			if field, _, _ := strings.Cut(after(a.body, `id="limit-`+c.field+`"`), ">"); !strings.Contains(field, `value="`) || strings.Contains(field, `value=""`) {
				t.Errorf("what was typed is lost: %s", field)
			}
			if c.code != 503 {
				a.want(t, c.code, `aria-describedby="limits-fault limit-`+c.field+`-hint"`)
			}
		})
	}
}

func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}

func TestOwnersDoNotChangeLimits(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("eleve")
	b.get("/s/blog").want(t, 200, "6 of 128").lacks(t, "Limits of this site", "/s/blog/limits")
	b.post("/s/blog/limits", "memory", "4096").want(t, 404)
	if calls := strings.Join(p.sites.Calls(), " "); strings.Contains(calls, "SetLimits") {
		t.Errorf("the heart was asked: %s", calls)
	}
}

func TestSettingsThatWaitForTheNextStartAreSaid(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("eleve")
	const says = "Settings have changed since this site started: they apply at its next start."
	b.get("/s/blog").want(t, 200).lacks(t, says)
	p.sites.Wait("blog")
	b.get("/s/blog").want(t, 200, says, "Restart")
	b.do(request{method: "GET", path: "/s/blog", header: []string{"Accept-Language", "fr"}}).want(t, 200, "ils s’appliqueront à son prochain démarrage")
}
