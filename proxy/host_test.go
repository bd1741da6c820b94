package proxy

import (
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	label := strings.Repeat("a", 63)
	for raw, want := range map[string]string{
		"blog.localhost":            "blog.localhost",
		"BLOG.LocalHost:8080":       "blog.localhost",
		"blog.localhost.":           "blog.localhost",
		"blog.localhost.:8080":      "blog.localhost",
		"blog.localhost:":           "blog.localhost",
		"École.Sites.fr":            "xn--cole-9oa.sites.fr",
		"XN--COLE-9OA.sites.fr":     "xn--cole-9oa.sites.fr",
		"blog。sites.fr":             "blog.sites.fr",
		"_x.sites.fr":               "_x.sites.fr",
		"127.0.0.1:80":              "127.0.0.1",
		"[::1]:8080":                "[::1]",
		"[2001:DB8:0:0::1]":         "[2001:db8::1]",
		label + ".fr":               label + ".fr",
		"":                          "",
		".":                         "",
		"..":                        "",
		"a..b":                      "",
		".a":                        "",
		"a..":                       "",
		"-a.fr":                     "",
		"a-.fr":                     "",
		"a.fr-":                     "",
		label + "a.fr":              "",
		strings.Repeat("a.", 200):   "",
		strings.Repeat("é", 2000):   "",
		"a b":                       "",
		"a\x00b":                    "",
		"a/b":                       "",
		"a@b":                       "",
		"a%2eb":                     "",
		"a:b":                       "",
		"a:99999":                   "",
		"a:80:80":                   "",
		"::1":                       "",
		"[::1":                      "",
		"[::1]x":                    "",
		"[::1%eth0]":                "",
		"[127.0.0.1]":               "",
		"[::1]:80:80":               "",
		"a,b":                       "",
		"blog.localhost\r\nHost: x": "",
	} {
		got, err := Canonical(raw)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("Canonical(%.60q) = %q, %v; want %q", raw, got, err, want)
		}
	}
}

// FuzzCanonical: whatever comes in, what comes out is in the one form, and stays as it is.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"A.b.:80", "[::1]:1", "École.fr", "xn--a", "a。b", "[::ffff:1.2.3.4]", "a..b", "ß.de", "\u212a.fr"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := Canonical(raw)
		if err != nil {
			if got != "" {
				t.Fatalf("%q: %q with an error", raw, got)
			}
			return
		}
		if strings.ContainsAny(got, "/@?#%\\ \t\r\n\x00,") || got != strings.ToLower(got) || len(got) > maxHost {
			t.Fatalf("%q became %q", raw, got)
		}
		if again, err := Canonical(got); err != nil || again != got {
			t.Fatalf("%q became %q, then %q, %v", raw, got, again, err)
		}
		if port, err := Canonical(got + ":80"); err != nil || port != got {
			t.Fatalf("%q with a port became %q, %v", got, port, err)
		}
	})
}
