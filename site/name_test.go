package site

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanName(t *testing.T) {
	for raw, want := range map[string]string{
		"blog":                  "blog",
		"Mon-Blog":              "mon-blog",
		"  école  ":             "ecole",
		"e\u0301cole":           "ecole", // e and a combining accent
		"Cœur-Français":         "coeur-francais",
		"straße":                "strasse",
		"ﬁlm":                   "film",
		"ØRSTED":                "orsted",
		"abc":                   "abc",
		"nsi":                   "nsi",
		"mxx":                   "mxx",
		"2026":                  "2026",
		strings.Repeat("a", 40): strings.Repeat("a", 40),
		"\u00a0blog\u202f":      "blog",
		"admin-du-club":         "admin-du-club",
		"BLOG\u0130":            "blogi", // a capital dotted i
	} {
		if got, err := CleanName(raw); err != nil || got != want {
			t.Errorf("%q became %q, %v, want %q", raw, got, err, want)
		}
	}
}

func TestCleanNameRefuses(t *testing.T) {
	for raw, c := range map[string]struct {
		code Code
		what string
		fix  string
	}{
		"":                      {CodeNameBad, "0 < 3", "site"},
		"ab":                    {CodeNameBad, "2 < 3", "site-ab"},
		strings.Repeat("a", 41): {CodeNameBad, "41 > 40", strings.Repeat("a", 40)},
		"mon blog":              {CodeNameBad, " ", "mon-blog"},
		"a_b_c":                 {CodeNameBad, "_", "a-b-c"},
		"_acme":                 {CodeNameBad, "_", "acme-site"},
		"-blog":                 {CodeNameBad, "-", "blog"},
		"blog-":                 {CodeNameBad, "-", "blog"},
		"mon--blog":             {CodeNameBad, "--", "mon-blog"},
		"xn--80ak":              {CodeNameBad, "--", "xn-80ak"},
		"блог":                  {CodeNameBad, "б", "site"},
		"bl\u043eg":             {CodeNameBad, "\u043e", "bl-g"}, // a Cyrillic o
		"a.b.c":                 {CodeNameBad, ".", "a-b-c"},
		"a/../b":                {CodeNameBad, "/", "a-b"},
		"blog\x00":              {CodeNameBad, "\x00", "blog"},
		"www":                   {CodeNameReserved, "www", "www-site"},
		"WWW2":                  {CodeNameReserved, "www2", "www2-site"},
		"ns1":                   {CodeNameReserved, "ns1", "ns1-site"},
		"Mail":                  {CodeNameReserved, "mail", "mail-site"},
		"panneau":               {CodeNameReserved, "panneau", "panneau-site"},
		"autodiscover":          {CodeNameReserved, "autodiscover", "autodiscover-site"},
		"localhost":             {CodeNameReserved, "localhost", "localhost-site"},
		"ssh":                   {CodeNameReserved, "ssh", "ssh-site"},
		"àdmin":                 {CodeNameReserved, "admin", "admin-site"},
	} {
		_, err := CleanName(raw)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%q: got %v, want %s", raw, err, c.code)
			continue
		}
		what, fix := e.Args["c"], e.Args["fix"]
		if c.code == CodeNameReserved {
			what, fix = e.Args["n"], e.Args["a"]
		}
		if what != c.what || fix != c.fix {
			t.Errorf("%q: said %q, offered %q; want %q, %q", raw, what, fix, c.what, c.fix)
		}
		if _, err := CleanName(fix); err != nil {
			t.Errorf("%q: what is offered, %q, is refused: %v", raw, fix, err)
		}
	}
}

func TestAlternatives(t *testing.T) {
	for _, name := range []string{"blog", strings.Repeat("a", 40), "abc"} {
		for _, login := range []string{"", "marie.dupont", strings.Repeat("x", 60), "é", name} {
			n := 0
			for alt := range alternatives(name, login) {
				if clean, err := CleanName(alt); err != nil || clean != alt || alt == name {
					t.Errorf("for %q of %q: %q: %v", name, login, alt, err)
				}
				if n++; n == 20 {
					break
				}
			}
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"blog", "École", "a--b", "www", "ﬁ", "\xff\xfe", "İ", "-", "ns1", "ａｂｃ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		name, err := CleanName(raw)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("%q: %v", raw, err)
			}
			name = e.Args["fix"] + e.Args["a"] // what is offered must do
		}
		if len(name) < nameMin || len(name) > nameMax || wrong(name) != "" || reserved(name) || !utf8.ValidString(name) {
			t.Fatalf("%q became %q", raw, name)
		}
		if again, err := CleanName(name); err != nil || again != name {
			t.Fatalf("%q became %q, and that %q, %v", raw, name, again, err)
		}
	})
}

func TestCanonicalHost(t *testing.T) {
	for host, want := range map[string]string{
		"blog.localhost":                "blog.localhost",
		"Blog.LocalHost:8080":           "blog.localhost",
		"blog.localhost.":               "blog.localhost",
		"blog.localhost.:443":           "blog.localhost",
		"_x.localhost":                  "_x.localhost",
		"":                              "",
		".":                             "",
		"..":                            "",
		"blog..localhost":               "",
		".localhost":                    "",
		"blog.localhost:80:80":          "",
		"[::1]":                         "",
		"[::1]:8080":                    "",
		"blog localhost":                "",
		"blog/../x.localhost":           "",
		"a@blog.localhost":              "",
		"blög.localhost":                "",
		strings.Repeat("a", 64) + ".x":  "",
		strings.Repeat("a.", 130) + "a": "",
	} {
		if got := CanonicalHost(host); got != want {
			t.Errorf("%q became %q, want %q", host, got, want)
		}
	}
}

func FuzzCanonicalHost(f *testing.F) {
	for _, s := range []string{"blog.localhost:8080", "BLOG.", "[::1]:80", "a..b", "\xff", "a:b:c", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got := CanonicalHost(host)
		if again := CanonicalHost(got); again != got {
			t.Fatalf("%q became %q, and that %q", host, got, again)
		}
		if got != strings.ToLower(got) || strings.HasSuffix(got, ".") || strings.ContainsAny(got, ":/@[] \x00") {
			t.Fatalf("%q became %q", host, got)
		}
	})
}

func TestLabel(t *testing.T) {
	for host, want := range map[string]string{
		"blog.sites.example.org":   "blog",
		"a.blog.sites.example.org": "",
		"sites.example.org":        "",
		"blogsites.example.org":    "",
		"blog.example.org":         "",
		"":                         "",
	} {
		if got, ok := label(host, "sites.example.org"); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", host, got, ok, want)
		}
	}
	if _, ok := label("blog.", ""); ok {
		t.Error("an empty domain matches")
	}
}
