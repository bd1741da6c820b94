package proxy

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// errHost is returned for a Host that cannot name a site.
var errHost = errors.New("malformed host")

// maxHost is the longest name DNS can carry, in bytes.
const maxHost = 253

// Canonical brings a Host header, or a name typed by a person, into the one form that routes: lower case, without port
// and trailing dot, labels in ASCII (punycode), IPv6 literals compressed and in brackets. Canonical of a canonical
// host is itself. It never asks DNS (RULE PROXY).
func Canonical(raw string) (string, error) {
	if len(raw) > 4*maxHost { // before any work on it: one byte of punycode may have taken four
		return "", errHost
	}
	if strings.HasPrefix(raw, "[") {
		return canonicalIPv6(raw)
	}
	name, port, found := strings.Cut(raw, ":")
	if found && !validPort(port) {
		return "", errHost
	}
	if !ascii(name) {
		var err error
		if name, err = idna.Lookup.ToASCII(name); err != nil {
			return "", errHost
		}
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !validName(name) {
		return "", errHost
	}
	return name, nil
}

// canonicalIPv6 reads "[address]" or "[address]:port". A zone means nothing to another machine and is refused.
func canonicalIPv6(raw string) (string, error) {
	literal, port, found := strings.Cut(raw[1:], "]")
	if !found || port != "" && (port[0] != ':' || !validPort(port[1:])) {
		return "", errHost
	}
	addr, err := netip.ParseAddr(literal)
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", errHost
	}
	return "[" + addr.String() + "]", nil
}

// validPort accepts what RFC 3986 does: digits, or nothing.
func validPort(s string) bool {
	if len(s) > 5 {
		return false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// validName accepts dotted labels of letters, digits, hyphens and underscores, as DNS carries them.
func validName(s string) bool {
	if s == "" || len(s) > maxHost {
		return false
	}
	label := 0 // length so far
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 || s[i-1] == '-' {
				return false
			}
			label = 0
			continue
		case c == '-' && label == 0, !labelByte(c):
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0 && s[len(s)-1] != '-'
}

func labelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
