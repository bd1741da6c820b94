package site

import (
	"net"
	"strings"
)

// Route finds the site a host name belongs to, from memory. The name may carry a port and a trailing dot.
func (v *Service) Route(host string) (Site, bool) {
	name, ok := label(CanonicalHost(host), v.cfg.Domain)
	if !ok {
		return Site{}, false
	}
	e := v.named(name)
	if e == nil {
		return Site{}, false
	}
	return e.snapshot(), true
}

// CanonicalHost is the one form of a Host header that decides anything (RULE CLAIM, RULE PROXY): small letters,
// no port, no trailing dot; "" for what is no host name.
func CanonicalHost(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, part := range strings.Split(host, ".") {
		if part == "" || len(part) > 63 || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return ""
		}
	}
	if len(host) > 253 {
		return ""
	}
	return host
}

// label is what stands before the domain, when that is exactly one label.
func label(host, domain string) (string, bool) {
	name, ok := strings.CutSuffix(host, "."+domain)
	return name, ok && domain != "" && name != "" && !strings.Contains(name, ".")
}
