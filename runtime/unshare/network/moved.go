package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// endMoved ends the connections of sites that were opened under an address which this host has no longer, because the
// configuration gives the segment another way out: nobody could answer them, and they would leave under an address that
// may be somebody else's by now. Whom this finds is told by the other side, at the next packet.
func (n *Network) endMoved() error {
	addrs, err := dump(func() ([]netlink.Addr, error) { return n.host.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	own := n.inVLANs()
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			own = append(own, ip.Unmap())
		}
	}
	for _, family := range []netlink.InetFamily{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		ended, err := n.host.ConntrackDeleteFilters(netlink.ConntrackTable, family, moved{n.segments, own})
		if err != nil {
			return fmt.Errorf("end connections of an earlier way out: %w", err)
		}
		if ended > 0 {
			n.log.Info("connections of an earlier way out ended", "connections", ended)
		}
	}
	return nil
}

// inVLANs are this host's addresses in VLANs; they come and go with their uplink.
func (n *Network) inVLANs() []netip.Addr {
	var all []netip.Addr
	for _, v := range n.vlans {
		for _, a := range v.addrs {
			all = append(all, a.Addr())
		}
	}
	return all
}

// moved finds connections that sites have opened and that leave under none of this host's addresses.
type moved struct {
	segments []Segment
	own      []netip.Addr
}

// MatchConntrackFlow is what netlink asks of each connection.
func (m moved) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	as := addr(flow.Reverse.DstIP)
	return m.sites(addr(flow.Forward.SrcIP)) && as.IsValid() && !m.sites(as) && !slices.Contains(m.own, as)
}

func (m moved) sites(a netip.Addr) bool {
	return slices.ContainsFunc(m.segments, func(s Segment) bool { return s.V4.Contains(a) || s.V6.Contains(a) })
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
