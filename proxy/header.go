package proxy

import (
	"net/http"
	"net/netip"
	"strings"
)

// claims are headers with which a client, or a proxy in front of it, claims to know who or what is being asked. Sites
// believe them, so from an untrusted peer none passes (RULE PROXY, test S56). X-Forwarded-* is matched by prefix.
var claims = map[string]bool{
	"forwarded":           true,
	"x-real-ip":           true,
	"x-client-ip":         true,
	"x-cluster-client-ip": true,
	"client-ip":           true,
	"true-client-ip":      true,
	"cf-connecting-ip":    true,
	"fastly-client-ip":    true,
	"x-original-url":      true,
	"x-original-host":     true,
	"x-rewrite-url":       true,
	"x-host":              true,
}

// scrub removes from out what a client may not claim. The Proxy header never passes, from whomever: CGI turns it into
// HTTP_PROXY (CVE-2016-5385). Underscores count as hyphens, because CGI cannot tell them apart.
func scrub(out http.Header, trusted bool) {
	for key := range out {
		name := strings.ReplaceAll(strings.ToLower(key), "_", "-")
		claim := claims[name] || strings.HasPrefix(name, "x-forwarded-")
		disguised := claim && name != strings.ToLower(key)
		if name == "proxy" || disguised || claim && !trusted {
			delete(out, key)
		}
	}
}

// forwarded tells the site who asks, how, and under which name.
func (v *visit) forwarded(out http.Header) {
	chain := v.from.String()
	if before := v.r.Header["X-Forwarded-For"]; v.trusted && len(before) > 0 {
		chain = strings.Join(before, ", ") + ", " + v.peer.String()
	}
	out.Set("X-Forwarded-For", chain)
	out.Set("X-Forwarded-Proto", v.scheme())
	out.Set("X-Forwarded-Host", v.r.Host)
}

// scheme is how the visitor came: https when we, or a trusted proxy before us, saw TLS.
func (v *visit) scheme() string {
	if v.r.TLS != nil || v.trusted && v.r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https"
	}
	return "http"
}

// origin finds who asks: the peer, or, behind trusted proxies, the last address that none of them vouches for.
func (p *Proxy) origin(r *http.Request) (peer, from netip.Addr, trusted bool) {
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = addr.Addr().Unmap().WithZone("")
	}
	if !p.trusts(peer) {
		return peer, peer, false
	}
	from = peer
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trusts(from); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		from = hop.Unmap()
	}
	return peer, from, true
}

func (p *Proxy) trusts(addr netip.Addr) bool {
	for _, prefix := range p.trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// hop names the headers that speak to one connection only.
var hop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// stripHop removes the headers of one connection, and those its Connection header names.
func stripHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hop {
		h.Del(name)
	}
}

// tokens tells whether the comma-separated lists of h[key] hold token, in any case.
func tokens(h http.Header, key, token string) bool {
	for _, line := range h[key] {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
