package main

import (
	"slices"
	"strings"
	"testing"

	"petitpont/runtime/unshare/probe"
	"petitpont/views/i18n"
)

// The probes and the words for them live in rooms that do not know each other; they meet here.
func TestEveryProbeHasItsWordsInFrench(t *testing.T) {
	var all []string
	for _, p := range probe.All() {
		all = append(all, p.Name)
		if !slices.Contains(i18n.Attacks(), p.Name) {
			t.Errorf("%s has no words in French", p.Name)
		}
		if name, about := i18n.Attack(i18n.FR, p.Name, p.About); strings.ContainsAny(name+about, "'") || name == "" || about == "" {
			t.Errorf("%s is %q, %q in French", p.Name, name, about)
		}
		if name, about := i18n.Attack(i18n.EN, p.Name, p.About); name != p.Name || about != p.About {
			t.Errorf("%s is %q, %q in English", p.Name, name, about)
		}
		for _, w := range append([]string{p.Wall}, p.Also...) {
			same := []string{"pivot_root", "nodev", "nosuid", "no_new_privs"} // names of the kernel's
			if fr := i18n.Wall(i18n.FR, w); fr == w && !slices.Contains(same, w) {
				t.Errorf("the wall %q has no word in French", w)
			}
		}
	}
	for _, name := range i18n.Attacks() {
		if !slices.Contains(all, name) {
			t.Errorf("%s has words, but is no probe", name)
		}
	}
}

func TestAProbeOfAnotherVersionIsShownAsItStands(t *testing.T) {
	if name, about := i18n.Attack(i18n.FR, "of tomorrow", "what it tries"); name != "of tomorrow" || about != "what it tries" {
		t.Errorf("%q, %q", name, about)
	}
	if w := i18n.Wall(i18n.FR, "of tomorrow"); w != "of tomorrow" {
		t.Error(w)
	}
}
