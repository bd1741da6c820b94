// Package static is every file a browser loads, inside the binary: no CDN, no third party, nothing to install.
//
// A file is served under a name that holds a hash of its content, so it may be kept for ever: a new binary has new
// names. What compresses is compressed once, at the first use.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run npm/refresh.go

//go:embed dist/bootstrap.min.css dist/htmx.min.js dist/icons.svg dist/LICENSES own
var files embed.FS

// Prefix is where Handler expects to be mounted.
const Prefix = "/static/"

// kinds are the media types, said here because a machine's own list may differ.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

type asset struct {
	kind  string // media type
	plain []byte
	gzip  []byte // nil when it would not be smaller
}

type shelf struct {
	urls   map[string]string // "app.css" to "/static/app.3f2a….css"
	assets map[string]asset  // by the last part of the URL
}

var load = sync.OnceValue(func() shelf {
	s := shelf{map[string]string{}, map[string]asset{}}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(name, "LICENSES") {
			return err
		}
		b, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		hashed := hashedName(path.Base(name), b)
		s.urls[path.Base(name)] = Prefix + hashed
		s.assets[hashed] = asset{kinds[path.Ext(name)], b, compress(b)}
		return nil
	})
	if err != nil {
		panic("static: " + err.Error()) // the files are in the binary: only a broken build gets here
	}
	return s
})

func hashedName(name string, b []byte) string {
	sum := sha256.Sum256(b)
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is valid
	_, _ = w.Write(b)                                       // a Buffer does not fail
	_ = w.Close()
	if out.Len() >= len(b) {
		return nil
	}
	return out.Bytes()
}

// URL is where a page finds the file of that name. A name that is not there is a programming error.
func URL(name string) string {
	url, ok := load().urls[name]
	if !ok {
		panic("static: no file " + name)
	}
	return url
}

// Handler serves the files below Prefix.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := load().assets[strings.TrimPrefix(r.URL.Path, Prefix)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		body := a.plain
		if a.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = a.gzip
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body) // a browser that went away is nobody's error
		}
	})
}

// Read is the content of the file of that name.
func Read(name string) ([]byte, error) {
	url, ok := load().urls[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return load().assets[strings.TrimPrefix(url, Prefix)].plain, nil
}
