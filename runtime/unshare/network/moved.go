package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// endMoved ends the connections of sites that were opened under addresses which the configuration has given up: nobody
// could answer them, and they would leave under what may be somebody else's address by now. The site is told so by the
// other side, at its next packet.
func (n *Network) endMoved(given []netip.Addr) error {
	if len(given) == 0 {
		return nil
	}
	for _, family := range []netlink.InetFamily{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		ended, err := n.host.ConntrackDeleteFilters(netlink.ConntrackTable, family, moved{n.segments, given})
		if err != nil {
			return fmt.Errorf("end connections of an earlier way out: %w", err)
		}
		if ended > 0 {
			n.log.Info("connections of an earlier way out ended", "connections", ended)
		}
	}
	return nil
}

// givenUp are addresses that this host had in VLANs by an earlier configuration, and has not by this one. They stand in
// its rules as long as those are not removed, whether the interfaces are there or not.
func (n *Network) givenUp() ([]netip.Addr, error) {
	var all []netip.Addr
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rules, err := dump(func() ([]netlink.Rule, error) { return n.host.RuleListFiltered(family, nil, 0) })
		if err := skipFamily(err); err != nil {
			return nil, fmt.Errorf("list rules: %w", err)
		}
		for _, r := range rules {
			if ownTable(n.instance, r.Table) && r.Src != nil && !n.inVLANs(addr(r.Src.IP)) && !inSegments(n.segments, addr(r.Src.IP)) {
				all = append(all, addr(r.Src.IP))
			}
		}
	}
	return all, nil
}

// inVLANs tells whether the configuration gives this host an address in a VLAN.
func (n *Network) inVLANs(a netip.Addr) bool {
	return slices.ContainsFunc(n.segments, func(s Segment) bool { return s.Address4.Addr() == a || s.Address6.Addr() == a })
}

// moved finds connections that sites have opened and that leave under addresses that were given up.
type moved struct {
	segments []Segment
	given    []netip.Addr
}

// MatchConntrackFlow is what netlink asks of each connection.
func (m moved) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	return inSegments(m.segments, addr(flow.Forward.SrcIP)) && slices.Contains(m.given, addr(flow.Reverse.DstIP))
}

func inSegments(all []Segment, a netip.Addr) bool {
	return slices.ContainsFunc(all, func(s Segment) bool { return s.V4.Contains(a) || s.V6.Contains(a) })
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
