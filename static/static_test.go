package static

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func fetch(url, encoding string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestFilesAreKeptForEverUnderTheHashOfTheirContent(t *testing.T) {
	for _, name := range []string{"app.css", "app.js", "theme.js", "bootstrap.min.css", "htmx.min.js", "icons.svg", "logo.svg"} {
		url := URL(name)
		if !regexp.MustCompile(`^/static/[a-z.]+\.[0-9a-f]{12}\.(css|js|svg)$`).MatchString(url) {
			t.Errorf("%s is at %s", name, url)
		}
		res := fetch(url, "")
		plain, _ := io.ReadAll(res.Body)
		if res.StatusCode != 200 || len(plain) == 0 || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %d bytes, %q", name, res.StatusCode, len(plain), res.Header.Get("Cache-Control"))
		}
		if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "image/svg") {
			t.Errorf("%s is %s", name, kind)
		}
		zipped := fetch(url, "gzip, br")
		if zipped.Header.Get("Content-Encoding") != "gzip" {
			continue
		}
		r, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if same, _ := io.ReadAll(r); !bytes.Equal(same, plain) {
			t.Errorf("%s differs when compressed", name)
		}
	}
}

func TestOtherNamesAreNotServed(t *testing.T) {
	for _, url := range []string{"/static/app.css", "/static/", "/static/../static.go", "/static/LICENSES/htmx.txt", "/static/app.000000000000.css"} {
		if res := fetch(url, ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", url, res.StatusCode)
		}
	}
}

// TestFirstPageIsSmall holds the budget of a slow line: 90 KB compressed for everything a first page loads.
func TestFirstPageIsSmall(t *testing.T) {
	sum := 0
	for _, name := range []string{"app.css", "app.js", "theme.js", "bootstrap.min.css", "htmx.min.js", "icons.svg"} {
		b, _ := io.ReadAll(fetch(URL(name), "gzip").Body)
		sum += len(b)
	}
	if sum > 90<<10 {
		t.Errorf("%d bytes", sum)
	}
}

func TestNothingComesFromElsewhere(t *testing.T) {
	for _, name := range []string{"own/app.js", "own/theme.js", "own/app.css"} {
		b, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, banned := range []string{"http:", "https:", "//cdn", "@import", "eval(", "innerHTML", "sourceMappingURL", "console."} {
			if bytes.Contains(b, []byte(banned)) {
				t.Errorf("%s has %q", name, banned)
			}
		}
		if n := bytes.Count(b, []byte("\n")); strings.HasSuffix(name, ".js") && n > 200 {
			t.Errorf("%s has %d lines", name, n)
		}
	}
}

func TestLicencesComeAlong(t *testing.T) {
	for _, name := range []string{"bootstrap", "bootstrap-icons", "htmx"} {
		if b, err := files.ReadFile("dist/LICENSES/" + name + ".txt"); err != nil || len(b) < 500 {
			t.Errorf("licence of %s: %d bytes, %v", name, len(b), err)
		}
	}
}
