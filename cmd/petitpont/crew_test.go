package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheLastWordOfAMemberIsTold(t *testing.T) {
	for name, c := range map[string]struct{ log, want string }{
		"the newest counts":     {"petitpont: first\n{\"msg\":\"x\"}\npetitpont: open x: no such file\n{\"msg\":\"ended\"}\n", ": open x: no such file"},
		"lines of JSON are not": {"{\"msg\":\"petitpont: no\"}\n", ""},
		"a long log":            {strings.Repeat("{}\n", 10000) + "petitpont: at last\n", ": at last"},
		"an empty log":          {"", ""},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(c.log)
		if got := lastWord(f); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		_ = f.Close()
	}
}

func TestADemoThatCannotWorkIsRefusedBeforeItMakesAnything(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root, as the demo does")
	}
	for name, f := range map[string]demoFlags{
		"instance":   {instance: "PP_ATK", network: "10.84.0.0/14"},
		"network":    {instance: "ppnever", network: "10.84.0.0/30"},
		"no network": {instance: "ppnever", network: "nonsense"},
	} {
		f.data = filepath.Join(t.TempDir(), "data")
		if err := demo(t.Context(), f); err == nil {
			t.Errorf("%s: no error", name)
		}
		for _, path := range []string{f.data, "/run/" + f.instance} {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s: %s was made", name, path)
			}
		}
	}
}
