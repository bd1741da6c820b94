package network

import (
	"errors"
	"fmt"
	"net/netip"
)

// Policy is what the sites of a segment may do in the world (RULE EGRESS). It is the same for each of them, but for what
// Limit says of one, and each has its own budget; numbers that are zero mean the default. Whatever it says, a site
// reaches neither the host, nor another site, nor a private or special address that Open does not name, nor a mail port,
// nor a resolver but the one.
type Policy struct {
	Closed      []netip.Prefix   // blocks that are closed although they are public: the school's own
	Open        []netip.AddrPort // TCP services that are open although they are closed or private: the school's proxy
	Inside      bool             // nothing but Open and the resolver: the world is reached by the school's proxy
	Rate        int              // new connections a second, 50 by default
	Burst       int              // of them at once after some quiet, four seconds' worth by default
	Connections int              // open at a time, 512 by default
	Packets     int              // of everything but TCP, a second, 2,000 by default
}

// What no site reaches, whatever its policy says, unless Open names it.
var (
	// This network, private, shared, loopback, link-local with the metadata services, protocol and benchmark blocks,
	// multicast, reserved and broadcast.
	closed4 = []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
	}
	// The same, and every form that carries an IPv4 address inside: mapped, NAT64, Teredo, 6to4.
	closed6 = []string{
		"::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fc00::/7",
		"fe80::/9", "ff00::/8",
	}
)

// questions is how many packets a second a site may send to the resolver.
const questions = 200

const maxPolicy = 1_000_000

var errPolicyRange = errors.New("rate, burst, connections and packets: want 0 to 1,000,000")

func (p Policy) withDefaults() Policy {
	for field, otherwise := range map[*int]int{&p.Rate: 50, &p.Connections: 512, &p.Packets: 2000} {
		if *field == 0 {
			*field = otherwise
		}
	}
	if p.Burst == 0 {
		p.Burst = 4 * p.Rate
	}
	return p
}

func (p Policy) check() error {
	for _, c := range p.Closed {
		if !c.IsValid() || c != c.Masked() || c.Addr().Is4In6() {
			return fmt.Errorf("closed %q: want a block, as 192.0.2.0/24", c)
		}
	}
	for _, o := range p.Open {
		if !o.IsValid() || o.Port() == 0 || o.Addr().Zone() != "" || o.Addr().Is4In6() || unreachable(o.Addr()) {
			return fmt.Errorf("open %q: want an address and a port that sites can reach", o)
		}
	}
	for _, n := range []int{p.Rate, p.Burst, p.Connections, p.Packets} {
		if n < 0 || n > maxPolicy {
			return errPolicyRange
		}
	}
	return nil
}

// unreachable tells of addresses that mean somebody else inside a site than they mean here.
func unreachable(a netip.Addr) bool {
	return a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast()
}

// checkDNS wants at most one resolver of each family: it stands behind the gateway's address of that family.
func checkDNS(all []netip.Addr) error {
	seen := map[bool]bool{}
	for _, a := range all {
		if !a.IsValid() || a.Zone() != "" || a.Is4In6() || unreachable(a) {
			return fmt.Errorf("resolver %q: want an address that sites can reach", a)
		}
		if seen[a.Is4()] {
			return fmt.Errorf("resolver %s: one of each family is enough", a)
		}
		seen[a.Is4()] = true
	}
	return nil
}

// resolver is whom a site asks: its gateway, in a family in which somebody answers behind it. Invalid if nobody does.
func (n *Network) resolver(s shard) netip.Addr {
	answers := map[bool]bool{}
	for _, a := range n.dns {
		answers[a.Is4()] = true
	}
	switch {
	case answers[true]:
		return s.gateway4()
	case answers[false]:
		return s.gateway6()
	}
	return netip.Addr{}
}
