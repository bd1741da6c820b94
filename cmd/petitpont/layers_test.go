package main

import (
	"os/exec"
	"strings"
	"testing"
)

// below says which rooms a room may know: ARCHITECTURE.md's drawing as a table. "" is the standard library and
// third parties. A room that is missing here fails the test, so that nobody adds one without drawing it.
var below = map[string][]string{
	"cmd/petitpont":                         {"app", "db", "proxy", "runtime", "runtime/remote", "runtime/unshare", "runtime/unshare/network", "runtime/unshare/selfcheck", "runtime/unshare/template", "site", "site/ldap", "site/ldap/ldaptest", "sshgate", "views/i18n"},
	"cmd/petitpont-box":                     {"runtime/unshare/files", "runtime/unshare/packages", "runtime/unshare/probe", "runtime/unshare/stage"},
	"app":                                   {"site", "static", "views", "views/i18n", "runtime"},
	"app/apptest":                           {"app", "site", "runtime"},
	"app/apptest/panel":                     {"app", "app/apptest", "site", "runtime"},
	"runtime/unshare/template/templatetest": {"runtime", "runtime/unshare/template"},
	"views":                                 {"site", "static", "views/i18n", "runtime"},
	"views/i18n":                            {},
	"static":                                {},
	"proxy":                                 {"site", "views/i18n"},
	"sshgate":                               {"site", "views/i18n"},
	"db":                                    {"site"},
	"site":                                  {"runtime"},
	"site/ldap":                             {"site"},
	"site/ldap/ldaptest":                    {"site", "site/ldap"},
	"runtime":                               {},
	"runtime/fake":                          {"runtime"},
	"runtime/remote":                        {"runtime"},
	"runtime/drivertest":                    {"runtime"},
	"runtime/unshare":                       {"runtime", "runtime/unshare/filter", "runtime/unshare/network", "runtime/unshare/packages", "runtime/unshare/stage", "runtime/unshare/template"},
	"runtime/unshare/filter":                {"runtime/unshare/stage"},
	"runtime/unshare/probe":                 {},
	"runtime/unshare/selfcheck":             {"runtime", "runtime/unshare/probe"},
	"runtime/unshare/stage":                 {},
	"runtime/unshare/files":                 {},
	"runtime/unshare/packages":              {},
	"runtime/unshare/network":               {},
	"runtime/unshare/template":              {"runtime"},
	"runtime/unshare/init":                  {},
	"e2e":                                   {},
	"e2e/browsertest":                       {},
	"site/sitetest":                         {"site", "runtime", "runtime/fake"},
}

// TestLayers holds the drawing of ARCHITECTURE.md against `go list`: imports run downwards only.
func TestLayers(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}:{{join .Imports \" \"}}", "petitpont/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		room, imports, _ := strings.Cut(line, ":")
		room = strings.TrimPrefix(room, "petitpont/")
		allowed, drawn := below[room]
		if !drawn {
			t.Errorf("room %s is not drawn: add it here and to ARCHITECTURE.md", room)
			continue
		}
		for _, name := range strings.Fields(imports) {
			name, ours := strings.CutPrefix(name, "petitpont/")
			if ours && !contains(allowed, name) {
				t.Errorf("%s imports %s: a line of the drawing is crossed", room, name)
			}
			if !ours && room == "runtime" && strings.Contains(strings.SplitN(name, "/", 2)[0], ".") {
				t.Errorf("runtime imports %s: the contract knows the standard library only", name)
			}
		}
	}
}

func contains(list []string, name string) bool {
	for _, s := range list {
		if s == name {
			return true
		}
	}
	return false
}
