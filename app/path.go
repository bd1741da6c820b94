package app

import (
	"net/url"
	"strings"
)

// localPath is raw if it is a path on this panel, else fallback. Nothing that a browser could read as another host
// passes: no scheme, no host, no "//", no backslash, no control character, also not after decoding.
func localPath(raw, fallback string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return fallback
	}
	for _, s := range []string{raw, u.Path} {
		if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsFunc(s, strange) {
			return fallback
		}
	}
	u.Fragment = ""
	return u.RequestURI()
}

func strange(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f }
