package sshgate

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// guard counts the connections that have not logged in. When there is no room it closes the one that has waited
// longest at the most crowded source, and takes the new one: refusing the new one, as MaxStartups does, would let
// whoever holds the places shut the school out (S35). A connection that has come as far as its login, where a person
// may be typing a password, is the last to go.
type guard struct {
	max, perSource int

	mu      sync.Mutex
	pending map[netip.Prefix][]*conn // in order of arrival
	total   int
}

func newGuard(limit, perSource int) *guard {
	return &guard{max: limit, perSource: perSource, pending: map[netip.Prefix][]*conn{}}
}

// admit makes room for c and counts it until leave.
func (g *guard) admit(c *conn) {
	g.mu.Lock()
	victim := g.victim(c.source)
	if victim != nil {
		g.remove(victim)
	}
	g.pending[c.source] = append(g.pending[c.source], c)
	g.total++
	g.mu.Unlock()
	if victim != nil {
		_ = victim.Close()
	}
}

func (g *guard) victim(source netip.Prefix) *conn {
	switch {
	case len(g.pending[source]) >= g.perSource:
		return longest(g.pending[source])
	case g.total >= g.max:
		var crowd []*conn
		for _, cs := range g.pending {
			if len(cs) > len(crowd) {
				crowd = cs
			}
		}
		return longest(crowd)
	}
	return nil
}

func longest(waiting []*conn) *conn {
	for _, c := range waiting {
		if !c.greeted.Load() {
			return c
		}
	}
	return waiting[0]
}

// leave stops counting c. It may be called twice.
func (g *guard) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(c)
}

func (g *guard) remove(c *conn) {
	cs := g.pending[c.source]
	i := slices.Index(cs, c)
	if i < 0 {
		return
	}
	g.total--
	if len(cs) == 1 {
		delete(g.pending, c.source)
		return
	}
	g.pending[c.source] = slices.Delete(cs, i, i+1)
}

// source is what counts as one place on the network: an IPv4 address, or the /64 that one IPv6 house gets.
func source(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap().WithZone("")
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return ap.Addr().Unmap().WithZone("")
}
