package views

import (
	"strings"
	"testing"

	"petitpont/site"
	"petitpont/views/i18n"
)

// Words whose keys are put together at run time: none may be missing.
func TestWordsOfEveryPart(t *testing.T) {
	c, ctx := site.AllChoices(), in(i18n.EN)
	var keys []string
	for _, part := range append(append([]string{}, c.Servers...), c.Databases...) {
		keys = append(keys, "part."+part)
	}
	for _, language := range c.Languages {
		keys = append(keys, "stack."+language, "stack."+language+"-about", "setup."+language+"-1")
	}
	for _, s := range buildSteps {
		keys = append(keys, "build."+string(s))
	}
	for _, f := range LimitFields {
		keys = append(keys, "limit."+f.Name, "limit."+f.Name+"-in")
	}
	for _, s := range snippets(site.Database{}, "php") {
		keys = append(keys, "snippet."+s.Key)
	}
	for _, verb := range []string{"build", "test", "publish", "retire", "move"} {
		keys = append(keys, "said.tpl-"+verb)
	}
	sprite := sprite(t)
	for _, v := range []verdict{worksVerdict, failsVerdict, enoughVerdict, shortVerdict, blockedVerdict, openVerdict, errorVerdict, unknownVerdict, noneVerdict} {
		keys = append(keys, v.Key)
		if !strings.Contains(sprite, `id="`+v.Icon+`"`) {
			t.Errorf("%s: no shape %s in the sprite", v.Key, v.Icon)
		}
	}
	for _, key := range keys {
		if !i18n.Has(key) {
			t.Errorf("%s is not in the table", key)
		}
	}
	for _, s := range c.Offers() {
		if name := stackName(ctx, s); strings.Contains(name, "{") {
			t.Errorf("%s is called %q", s.Key(), name)
		}
	}
}

func TestVerdictsDifferInShape(t *testing.T) {
	shapes := map[string]string{}
	for _, v := range []verdict{blockedVerdict, openVerdict, errorVerdict, unknownVerdict, noneVerdict} {
		if other := shapes[v.Icon]; other != "" {
			t.Errorf("%s and %s share a shape", v.Key, other)
		}
		shapes[v.Icon] = v.Key
	}
}

func TestSnippetsFitTheEngine(t *testing.T) {
	maria := site.Database{Engine: "mariadb", Host: "localhost", Port: 3306, Socket: "/run/mysqld/mysqld.sock", Name: "site", User: "site", Password: "pw"}
	postgres := site.Database{Engine: "postgresql", Host: "localhost", Port: 5432, Socket: "/run/postgresql", Name: "site", User: "site", Password: "pw"}
	for _, c := range []struct {
		d     site.Database
		key   string
		wants []string
	}{
		{maria, "php", []string{"mysql:unix_socket=/run/mysqld/mysqld.sock;dbname=site"}},
		{maria, "py", []string{"pymysql.connect(", `unix_socket="/run/mysqld/mysqld.sock"`}},
		{maria, "node", []string{"require('mysql')", "socketPath: '/run/mysqld/mysqld.sock'"}},
		{maria, "env", []string{"DB_ENGINE=mariadb", "DB_PORT=3306", "DB_PASSWORD=pw"}},
		{postgres, "php", []string{"pgsql:host=/run/postgresql;dbname=site"}},
		{postgres, "py", []string{"psycopg2.connect(", `host="/run/postgresql"`, `dbname="site"`}},
		{postgres, "node", []string{"require('pg')", "host: '/run/postgresql'"}},
		{postgres, "env", []string{"DB_ENGINE=postgresql", "DB_PORT=5432"}},
	} {
		for _, s := range snippets(c.d, "php") {
			if s.Key != c.key {
				continue
			}
			for _, want := range c.wants {
				if !strings.Contains(s.Code, want) {
					t.Errorf("%s %s lacks %s:\n%s", c.d.Engine, c.key, want, s.Code)
				}
			}
			if strings.Contains(s.Code, "pw") != s.Secret {
				t.Errorf("%s %s: the password is in it or not, against what it says", c.d.Engine, c.key)
			}
		}
	}
	for language, first := range map[string]string{"php": "php", "python": "py", "node": "node", "none": "php"} {
		if got := snippets(maria, language)[0].Key; got != first {
			t.Errorf("%s begins with %s", language, got)
		}
	}
}
