package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"petitpont/runtime/unshare/network"
)

// checkFree refuses a block in which an interface of somebody else has its address: the kernel would send our visitors
// there, and theirs here. A wider network around the block is no such thing, since the narrower route wins.
func checkFree(c Config) error {
	segments, err := c.segments()
	if err != nil {
		return err
	}
	links, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		if strings.HasPrefix(l.Name, c.Instance+"_") {
			continue // bridges that a runtime before us left standing (RULE OWN)
		}
		addrs, err := l.Addrs()
		if err != nil {
			return fmt.Errorf("addresses of %s: %w", l.Name, err)
		}
		if taken, ok := within(segments, addrs); ok {
			return fmt.Errorf("network %s: %s of %s lies in it; give the sites another private block", c.Network, taken, l.Name)
		}
	}
	return nil
}

// within finds the first address that lies in a block of the sites.
func within(segments []network.Segment, addrs []net.Addr) (netip.Addr, bool) {
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		for _, s := range segments {
			if s.V4.Contains(p.Addr()) || s.V6.Contains(p.Addr()) {
				return p.Addr(), true
			}
		}
	}
	return netip.Addr{}, false
}
