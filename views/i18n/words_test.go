package i18n

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

func TestEverySentenceHasBothLanguagesAndTheSamePlaces(t *testing.T) {
	for key, e := range table {
		if strings.TrimSpace(e.FR) == "" || strings.TrimSpace(e.EN) == "" {
			t.Errorf("%s lacks a language: %q, %q", key, e.FR, e.EN)
		}
		fr, en := places(e.FR), places(e.EN)
		if !slices.Equal(fr, en) {
			t.Errorf("%s: places %v in French, %v in English", key, fr, en)
		}
		if strings.Contains(e.FR+e.EN, "%!") {
			t.Errorf("%s has %%!", key)
		}
	}
}

func places(s string) []string {
	all := placeholder.FindAllString(s, -1)
	slices.Sort(all)
	return slices.Compact(all)
}

func TestErrorsAreWholeSentences(t *testing.T) {
	for key, e := range table {
		if !strings.HasPrefix(key, "error.") || strings.HasPrefix(key, "error.title") {
			continue
		}
		for _, s := range []string{e.FR, e.EN} {
			if !strings.HasSuffix(s, ".") || strings.Contains(s, "!") || strings.HasPrefix(s, "Oups") {
				t.Errorf("%s: %q", key, s)
			}
			if strings.HasSuffix(s, "veuillez réessayer plus tard.") || strings.HasSuffix(s, "please try again later.") {
				t.Errorf("%s ends without a way on: %q", key, s)
			}
		}
	}
}

// loose is French punctuation that a line break could tear off: an ordinary space, or none, before it or inside « ».
var loose = regexp.MustCompile("[^\u202f ][;!?]| [;!?:»]|« |«[^\u202f]|[^\u202f]»|'")

func TestFrenchHasItsSpacesAndApostrophes(t *testing.T) {
	narrow := 0
	for key, e := range table {
		if m := loose.FindString(e.FR); m != "" {
			t.Errorf("%s: %q in %q", key, m, e.FR)
		}
		narrow += strings.Count(e.FR, "\u202f")
	}
	if narrow < 20 {
		t.Errorf("%d narrow no-break spaces in all: they are not set", narrow)
	}
}

func TestStudentsNeverReadOurJargon(t *testing.T) {
	for key, e := range table {
		for _, word := range []string{"conteneur", "container", "cgroup", "unshare", "rootfs", "image disque", "gateway"} {
			if strings.Contains(strings.ToLower(e.FR+e.EN), word) {
				t.Errorf("%s says %q", key, word)
			}
		}
	}
}

func TestFillsPlaces(t *testing.T) {
	if got := T(EN, "error.name-reserved", Args{"n": "www", "a": "www-site"}); got != "“www” is reserved. Try “www-site”." {
		t.Error(got)
	}
	if got := T(FR, "error.quota", Args{"n": "3"}); strings.Contains(got, "{") || strings.Count(got, "3") != 2 {
		t.Error(got)
	}
}
