package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// A segment with a VLAN leaves by it and by nothing else: the rules of nft hold it to the interface, and with an address
// in that VLAN it has a routing table of its own, which knows the VLAN's router and ends with "unreachable". So while the
// VLAN is down its packets are refused; the host's own routes are never asked.
//
//	ip rule    8800: from 10.88.0.0/16 lookup T          the sites
//	           8800: from 192.0.2.10 lookup T            the host's own answers in that VLAN
//	table T    throw 10.88.0.0/16                        back to the bridges, by the host's routes
//	           192.0.2.0/24 dev eth1.12
//	           default via 192.0.2.1 dev eth1.12
//	           unreachable default metric 4000000000
//
// T follows from the instance's name and the segment's first letter, as groups and MACs do: what stands in one of these
// tables is ours (RULE OWN).
const (
	rulePriority = 8800        // before the host's main table (32766), after its local one (0)
	tableBase    = 880_000_000 // an instance has 100 tables from here on, of which its letters take 26
	routeProto   = 88          // what `ip rule` and `ip route` show as "proto"; 88 is nobody's in linux/rtnetlink.h
	metricWay    = 100
	metricNone   = 4_000_000_000
)

// table is the routing table of a segment.
func table(instance, segment string) int { return firstTable(instance) + int(segment[0]-'a') }

func firstTable(instance string) int { return tableBase + int(hash(instance)%1_000_000)*100 + 1 }

// ownTable tells whether a table is one of the instance's.
func ownTable(instance string, t int) bool {
	return t >= firstTable(instance) && t < firstTable(instance)+26
}

// vlan is the way out of one segment: everything that the kernel has to hold for it.
type vlan struct {
	segment, parent, name string
	id                    int
	addrs                 []netip.Prefix
	label                 string         // the alias of the interface; another one means it was made for something else
	table                 int            // 0: no routes of its own
	sources               []netip.Prefix // what looks into the table
	routes                []route
}

// route is one of a table. Those of an interface go with it.
type route struct {
	kind   int // RTN_*
	to     netip.Prefix
	via    netip.Addr // invalid: none
	metric int
}

func (r route) String() string {
	kind := map[int]string{unix.RTN_THROW: "throw ", unix.RTN_UNREACHABLE: "unreachable "}[r.kind]
	via := ""
	if r.via.IsValid() {
		via = " via " + r.via.String()
	}
	return fmt.Sprintf("%s%s%s metric %d", kind, r.to, via, r.metric)
}

// vlans is the whole plan of an instance. Without IPv6 on the host nothing of it is planned.
func vlans(instance string, segments []Segment, v6 bool) []vlan {
	var all []vlan
	for _, s := range segments {
		if s.VLAN == 0 {
			continue
		}
		v := vlan{segment: s.Name, parent: s.Uplink, name: s.exit(), id: s.VLAN, label: s.vlanLabel()}
		if s.Address4.IsValid() || s.Address6.IsValid() {
			v.table = table(instance, s.Name)
			v.plan(s.V4, s.Address4, s.Gateway4, netip.PrefixFrom(netip.IPv4Unspecified(), 0))
			if v6 {
				v.plan(s.V6, s.Address6, s.Gateway6, netip.PrefixFrom(netip.IPv6Unspecified(), 0))
			}
		}
		all = append(all, v)
	}
	return all
}

// plan adds the rules and routes of one family: of the sites' block, and of the host's address and router in the VLAN,
// if it has any.
func (v *vlan) plan(block, own netip.Prefix, gateway netip.Addr, everywhere netip.Prefix) {
	v.sources = append(v.sources, block)
	v.routes = append(v.routes, route{kind: unix.RTN_THROW, to: block, metric: metricWay})
	if own.IsValid() {
		v.addrs = append(v.addrs, own)
		v.sources = append(v.sources, netip.PrefixFrom(own.Addr(), own.Addr().BitLen()))
		v.routes = append(v.routes, route{kind: unix.RTN_UNICAST, to: own.Masked(), metric: metricWay})
	}
	if gateway.IsValid() {
		v.routes = append(v.routes, route{kind: unix.RTN_UNICAST, to: everywhere, via: gateway, metric: metricWay})
	}
	v.routes = append(v.routes, route{kind: unix.RTN_UNREACHABLE, to: everywhere, metric: metricNone})
}

func (s Segment) vlanLabel() string {
	words := []string{s.Name, "vlan"}
	for _, a := range []netip.Prefix{s.Address4, s.Address6} {
		if a.IsValid() {
			words = append(words, a.String())
		}
	}
	for _, g := range []netip.Addr{s.Gateway4, s.Gateway6} {
		if g.IsValid() {
			words = append(words, "via", g.String())
		}
	}
	return strings.Join(words, " ")
}

func (s Segment) checkVLAN() error {
	addressed := s.Address4.IsValid() || s.Address6.IsValid() || s.Gateway4.IsValid() || s.Gateway6.IsValid()
	switch {
	case s.VLAN < 0 || s.VLAN > 4094:
		return fmt.Errorf("vlan %d: want 1 to 4094", s.VLAN)
	case s.VLAN > 0 && s.Uplink == "":
		return fmt.Errorf("vlan %d: want the uplink that carries it", s.VLAN)
	case s.VLAN == 0 && addressed:
		return errors.New("address and gateway: want a vlan; those of other interfaces are the host's own")
	}
	return errors.Join(checkFamily(s.Address4, s.Gateway4, true), checkFamily(s.Address6, s.Gateway6, false))
}

func checkFamily(own netip.Prefix, gateway netip.Addr, is4 bool) error {
	a := own.Addr()
	switch {
	case own.IsValid() && (a.Is4() != is4 || a.Is4In6() || unreachable(a) || own == own.Masked() && own.Bits() < a.BitLen()-1):
		return fmt.Errorf("address %s: want this host's own in the VLAN, as 192.0.2.10/24", own)
	case !gateway.IsValid():
		return nil
	case gateway.Zone() != "" || gateway.Is4() != is4 || !own.IsValid():
		return fmt.Errorf("gateway %s: want an address of this host beside it, of the same family", gateway)
	case gateway == a || !own.Contains(gateway) && (is4 || !gateway.IsLinkLocalUnicast()):
		return fmt.Errorf("gateway %s: not another address in the net of %s", gateway, own)
	}
	return nil
}

// checkVLANs compares the segments with each other.
func checkVLANs(all []Segment) error {
	for i, s := range all {
		for _, o := range all[:i] {
			if s.VLAN != 0 && s.VLAN == o.VLAN {
				return fmt.Errorf("segments %q and %q share vlan %d: want one of its own for each", o.Name, s.Name, s.VLAN)
			}
			if s.Uplink != "" && s.exit() == o.exit() && s.VLAN+o.VLAN != 0 {
				return fmt.Errorf("segments %q and %q both leave by %s", o.Name, s.Name, s.exit())
			}
			if sameAddr(s.Address4, o.Address4) || sameAddr(s.Address6, o.Address6) {
				return fmt.Errorf("segments %q and %q share an address", o.Name, s.Name)
			}
		}
		for _, o := range all {
			if s.Address4.Overlaps(o.V4) || s.Address6.Overlaps(o.V6) {
				return fmt.Errorf("segment %q: its address in the VLAN lies in the block of the sites of %q", s.Name, o.Name)
			}
		}
	}
	return nil
}

func sameAddr(a, b netip.Prefix) bool { return a.IsValid() && a.Addr() == b.Addr() }
