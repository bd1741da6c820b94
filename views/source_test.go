package views

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"petitpont/views/i18n"
)

func templates(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.templ")
	if err != nil || len(names) < 8 {
		t.Fatalf("found %d templates: %v", len(names), err)
	}
	all := map[string]string{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		all[n] = string(b)
	}
	return all
}

var (
	comment = regexp.MustCompile(`(?m)^\s*//.*$`)
	between = regexp.MustCompile(`>([^<>{}@]*)<`)
	word    = regexp.MustCompile(`\pL{3,}`)
	accent  = regexp.MustCompile(`[àâçéèêëîïôûùÀÉ]`)
	literal = regexp.MustCompile(`\b(?:title|alt|placeholder|aria-label)="[^"{]*"`)
)

// ours are words that are the same in every language, or name a language in itself.
var ours = map[string]bool{"petitpont": true, "Français": true, "English": true}

func TestTemplatesHoldNoWords(t *testing.T) {
	for name, src := range templates(t) {
		src = comment.ReplaceAllString(src, "")
		for _, m := range between.FindAllStringSubmatch(src, -1) {
			for _, w := range word.FindAllString(m[1], -1) {
				if !ours[w] {
					t.Errorf("%s says %q outside the table", name, w)
				}
			}
		}
		for _, m := range literal.FindAllString(src, -1) {
			t.Errorf("%s says %s outside the table", name, m)
		}
		if m := accent.FindString(strings.ReplaceAll(src, "Français", "")); m != "" {
			t.Errorf("%s holds French: %q", name, m)
		}
	}
}

// TestTemplatesAreStrict holds what the policy of the panel and RULE TEXT ask of every page.
func TestTemplatesAreStrict(t *testing.T) {
	for name, src := range templates(t) {
		for _, banned := range []string{
			"templ.Raw", " style=", "hx-on", "onclick", "templ.JSUnsafe", "<script>", "javascript:", "https://", "http://", "every 1s [",
		} {
			if strings.Contains(src, banned) {
				t.Errorf("%s has %q", name, banned)
			}
		}
	}
}

var wanted = regexp.MustCompile(`\bt\(ctx, "([a-z0-9.-]+)"`)

func TestEveryWordAskedForIsInTheTable(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range sources {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range wanted.FindAllStringSubmatch(string(b), -1) {
			key := m[1]
			if n++; !strings.HasSuffix(key, ".") && !i18n.Has(key) {
				t.Errorf("%s asks for %q", name, key)
			}
		}
	}
	if n < 80 {
		t.Errorf("found %d words: the search itself is broken", n)
	}
}
