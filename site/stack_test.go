package site_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"petitpont/runtime"
	"petitpont/site"
)

func stackOf(server, language, database string) site.Stack {
	return site.Stack{Template: "web", Server: server, Language: language, Database: database}
}

func TestEveryOfferedStackIsMade(t *testing.T) {
	c := site.AllChoices()
	n := 0
	for _, server := range c.Servers {
		for _, language := range c.Languages {
			for _, database := range c.DatabasesFor(language) {
				n++
				t.Run(server+" "+language+" "+database, func(t *testing.T) {
					w, spy := spied(t)
					_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog", Stack: stackOf(server, language, database)})
					w.ok(err)
					w.until("blog", site.Awake)
					want := slices.DeleteFunc([]string{server, language, database}, func(s string) bool { return s == "none" })
					if got := spy.specs["blog"].Services; !slices.Equal(got, want) {
						t.Errorf("services %v, want %v: they end in reverse, the database first", got, want)
					}
				})
			}
		}
	}
	if n != 3*(3*3+1) {
		t.Errorf("%d combinations", n)
	}
}

func TestStacksThatMakeNoSenseAreRefused(t *testing.T) {
	w, spy := spied(t)
	for _, s := range []site.Stack{
		stackOf("nginx", "none", "mariadb"), stackOf("nginx", "none", "postgresql"), stackOf("iis", "php", "none"),
		stackOf("nginx", "cobol", "none"), stackOf("nginx", "php", "oracle"), stackOf("", "php", "none"), stackOf("nginx", "php", ""),
		{Template: "other", Server: "nginx", Language: "php", Database: "none"},
		{Template: "../web", Server: "nginx", Language: "php", Database: "none"},
	} {
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog", Stack: s})
		w.code(err, site.CodeStack)
	}
	if len(spy.specs) != 0 {
		t.Errorf("made %v", spy.specs)
	}
}

func TestWhatTheTemplateLacksIsNotOffered(t *testing.T) {
	w, spy := spied(t)
	spy.services = []string{"nginx", "php"}
	c := w.v.Choices(w.ctx())
	if !slices.Equal(c.Servers, []string{"nginx"}) || !slices.Equal(c.Languages, []string{"php", "none"}) || !slices.Equal(c.Databases, []string{"none"}) {
		t.Errorf("%+v", c)
	}
	if got := c.Offers(); len(got) != 2 || got[0].Key() != "php" || got[1].Key() != "none" {
		t.Errorf("%v", got)
	}
	_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog", Stack: stackOf("nginx", "php", "mariadb")})
	w.code(err, site.CodeNoTemplate)

	spy.bare = true
	if c := w.v.Choices(w.ctx()); len(c.Offers()) != 0 {
		t.Errorf("without a template: %+v", c)
	}
	w.driver.Fail("templates", runtime.ErrDown)
	if c := w.v.Choices(w.ctx()); len(c.Offers()) != len(site.Offers()) {
		t.Errorf("with the runtime down: %+v", c)
	}
}

func TestDatabaseCredentials(t *testing.T) {
	w, spy := spied(t)
	for name, database := range map[string]string{"maria": "mariadb", "postgres": "postgresql", "plain": "none"} {
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: name, Stack: stackOf("caddy", "php", database)})
		w.ok(err)
		w.until(name, site.Awake)
	}
	maria, err := w.v.Database(w.ctx(), w.who("eleve"), "maria")
	w.ok(err)
	postgres, err := w.v.Database(w.ctx(), w.who("admin"), "postgres")
	w.ok(err)
	t.Run("are minted for each site", func(t *testing.T) {
		if !regexp.MustCompile(`^[a-zA-Z0-9]{20}$`).MatchString(maria.Password.Reveal()) || maria.Password == postgres.Password {
			t.Errorf("%q, %q", maria.Password.Reveal(), postgres.Password.Reveal())
		}
	})
	t.Run("are in the site's environment", func(t *testing.T) {
		env := spy.specs["maria"].Env
		for _, want := range []string{
			"PETITPONT_SITE=maria", "PETITPONT_SERVER=caddy", "PETITPONT_LANGUAGE=php", "PETITPONT_DATABASE=mariadb", "DB_ENGINE=mariadb",
			"DB_HOST=localhost", "DB_PORT=3306", "DB_SOCKET=/run/mysqld/mysqld.sock", "DB_NAME=site", "DB_USER=site",
			"DB_PASSWORD=" + maria.Password.Reveal(),
		} {
			if !slices.Contains(env, want) {
				t.Errorf("%v lacks %s", env, want)
			}
		}
		if env := spy.specs["postgres"].Env; !slices.Contains(env, "DB_PORT=5432") || !slices.Contains(env, "DB_ENGINE=postgresql") {
			t.Errorf("%v", env)
		}
		if env := strings.Join(spy.specs["plain"].Env, " "); strings.Contains(env, "DB_") || strings.Contains(env, "proxy") {
			t.Errorf("%v", env)
		}
	})
	t.Run("are for the owner and admins", func(t *testing.T) {
		_, err := w.v.Database(w.ctx(), w.who("prof"), "maria")
		w.code(err, site.CodeNotFound)
		if d, err := w.v.Database(w.ctx(), w.who("eleve"), "plain"); err != nil || d != (site.Database{}) {
			t.Errorf("%+v, %v", d, err)
		}
	})
	t.Run("survive a restart", func(t *testing.T) {
		w.restart()
		if again, err := w.v.Database(w.ctx(), w.who("eleve"), "maria"); err != nil || again != maria {
			t.Errorf("%v, %v", again, err)
		}
	})
	t.Run("no other answer carries the password", func(t *testing.T) {
		mine, err := w.v.Mine(w.ctx(), w.who("eleve"))
		w.ok(err)
		all, err := w.v.All(w.ctx(), w.who("admin"), site.Query{})
		w.ok(err)
		routed, _ := w.v.Route("maria.localhost")
		for _, s := range append(mine, all.Rows[0].Site, all.Rows[1].Site, all.Rows[2].Site, routed, w.find("maria")) {
			if s.Password != "" {
				t.Errorf("%s carries it", s.Name)
			}
		}
	})
}

func TestASecretHides(t *testing.T) {
	d := site.Database{Engine: "mariadb", Password: "hunter2hunter2"}
	s := site.Site{Name: "blog", Password: "hunter2hunter2"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", d.Password, "site", s, "database", d)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "password", d.Password, "site", s, "database", &d)
	j, err := json.Marshal(map[string]any{"d": d, "s": s})
	if err != nil {
		t.Fatal(err)
	}
	said := log.String() + string(j) + fmt.Sprintf("%v %+v %#v %s %q %v", d, d, d, d.Password, d.Password, s)
	if strings.Contains(said, "hunter2") {
		t.Error(said)
	}
	if d.Password.Reveal() != "hunter2hunter2" {
		t.Error("it is lost")
	}
}

func TestProxyEnvironment(t *testing.T) {
	w, spy := spied(t, func(c *site.Config) {
		c.Domain = "sites.ecole.fr"
		c.Proxy = site.WebProxy{URL: "http://proxy.ecole.fr:3128", Direct: []string{"ecole.fr", ".Intra.test", "ecole.fr"}}
	})
	_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
	w.ok(err)
	w.until("blog", site.Awake)
	const except = "localhost,127.0.0.1,::1,blog,.ecole.fr,.intra.test,.sites.ecole.fr,ecole.fr,intra.test,sites.ecole.fr"
	for _, want := range []string{
		"http_proxy=http://proxy.ecole.fr:3128", "HTTP_PROXY=http://proxy.ecole.fr:3128", "https_proxy=http://proxy.ecole.fr:3128",
		"HTTPS_PROXY=http://proxy.ecole.fr:3128", "no_proxy=" + except, "NO_PROXY=" + except,
	} {
		if !slices.Contains(spy.specs["blog"].Env, want) {
			t.Errorf("%v lacks %s", spy.specs["blog"].Env, want)
		}
	}
}
