package sshgate

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]word{
		"":                      nil,
		"  scp\t-t   x ":        {{text: "scp"}, {text: "-t"}, {text: "x"}},
		`'a b' "c d" e\ f`:      {{text: "a b"}, {text: "c d"}, {text: "e f"}},
		`''`:                    {{}},
		`a'b'"c"d`:              {{text: "abcd"}},
		`"a\"b\\c\d"`:           {{text: `a"b\c\d`}},
		`'$(id)' '; rm -rf /'`:  {{text: "$(id)"}, {text: "; rm -rf /"}},
		`*.php '*.php' \*.php`:  {{text: "*.php", pattern: "*.php"}, {text: "*.php"}, {text: "*.php"}},
		`a[12]'*'`:              {{text: "a[12]*", pattern: `a[12]\*`}},
		"é à":                   {{text: "é"}, {text: "à"}},
		"a#b ~/x":               {{text: "a#b"}, {text: "~/x"}},
		"it]":                   {{text: "it]"}},
		"scp -t -- -x":          {{text: "scp"}, {text: "-t"}, {text: "--"}, {text: "-x"}},
		"x\\'y":                 {{text: "x'y"}},
		`"it's"`:                {{text: "it's"}},
		`'he said "hi"'`:        {{text: `he said "hi"`}},
		strings.Repeat("a ", 3): {{text: "a"}, {text: "a"}, {text: "a"}},
	} {
		got, err := splitWords(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q %v, want %q", line, got, err, want)
		}
	}
}

func TestSplitWordsRefusesWhatAShellWouldDo(t *testing.T) {
	for _, line := range []string{
		"a;b", "a|b", "a&b", "a&&b", "a>b", "a<b", "$(id)", "`id`", "$HOME", "\"$HOME\"", "\"`id`\"", "a\nb", "a\rb", "a\x00b",
		"(a)", "#x", "'open", `"open`, `a\`, "a\\\nb",
	} {
		if got, err := splitWords(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// FuzzSplitWords: quoting any words and splitting them gives them back.
func FuzzSplitWords(f *testing.F) {
	f.Add("a", "b c")
	f.Add("it's", "$(id)")
	f.Add("", "*")
	f.Fuzz(func(t *testing.T, a, b string) {
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		got, err := splitWords(quote(a) + " " + quote(b))
		if err != nil || !slices.Equal(got, []word{{text: a}, {text: b}}) {
			t.Errorf("%q %q: %q %v", a, b, got, err)
		}
		splitWords(a) // never panics
	})
}
