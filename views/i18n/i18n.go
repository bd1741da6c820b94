// Package i18n is every sentence petitpont says, in French and in English, in one table.
//
// It imports the standard library only, so that each door (panel, proxy, gate, command line) says the same words.
// A key without both languages is a build error by test, never a blank on a page.
package i18n

import (
	"fmt"
	"strings"
)

// Lang is a language of the panel. French is the source.
type Lang string

// The languages.
const (
	FR Lang = "fr"
	EN Lang = "en"
)

// Entry is one sentence. Placeholders are {name} and stand in both languages.
type Entry struct{ FR, EN string }

// Args fill placeholders.
type Args = map[string]string

var table = map[string]Entry{}

// add puts the sentences of one file into the table; a key said twice is a programming error.
func add(entries map[string]Entry) {
	for key, e := range entries {
		if _, twice := table[key]; twice {
			panic("i18n: key twice: " + key)
		}
		table[key] = Entry{FR: french(e.FR), EN: e.EN}
	}
}

// T says the sentence of key in l. An unknown key panics in tests and shows itself on the page.
func T(l Lang, key string, args ...Args) string {
	e, ok := table[key]
	if !ok {
		return "{" + key + "}"
	}
	s := e.EN
	if l == FR {
		s = e.FR
	}
	for _, a := range args {
		for name, value := range a {
			s = strings.ReplaceAll(s, "{"+name+"}", value)
		}
	}
	return s
}

// Has tells whether key stands in the table.
func Has(key string) bool { _, ok := table[key]; return ok }

// Pick chooses a language from an Accept-Language header, a LANG variable or a cookie: English only when it comes
// before French, French when neither is asked for.
func Pick(header string) Lang {
	for _, part := range strings.Split(strings.ToLower(header), ",") {
		switch tag := strings.TrimSpace(part); {
		case strings.HasPrefix(tag, "fr"):
			return FR
		case strings.HasPrefix(tag, "en"):
			return EN
		}
	}
	return FR
}

// french sets the no-break spaces that French typography asks for: narrow ones before ; ! ? and inside « »,
// a full one before a colon that follows a space.
func french(s string) string {
	return strings.NewReplacer(
		"« ", "«\u202f", " »", "\u202f»",
		" ;", "\u202f;", " !", "\u202f!", " ?", "\u202f?", " :", "\u00a0:", "'", "’",
	).Replace(s)
}

// Bytes says a size in the units of l: Ko, Mo, Go or kB, MB, GB, in powers of 1024 as disks and limits are set.
func Bytes(l Lang, n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	if l == FR {
		units = []string{"o", "Ko", "Mo", "Go", "To"}
	}
	v, i := float64(n), 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	s := fmt.Sprintf("%.0f", v)
	if v < 9.95 && i > 1 {
		s = strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	if l == FR {
		s = strings.ReplaceAll(s, ".", ",")
	}
	return s + "\u00a0" + units[i]
}
