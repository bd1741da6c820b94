package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// layVLANs puts in place what the plan says and is missing: the tables, then what leads into them, then the interfaces.
// n.mu is held, but while Open runs.
func (n *Network) layVLANs() error {
	var errs []error
	for _, v := range n.vlans {
		if err := n.layVLAN(v); err != nil {
			errs = append(errs, fmt.Errorf("segment %s: vlan %d: %w", v.segment, v.id, err))
		}
	}
	return errors.Join(errs...)
}

func (n *Network) layVLAN(v vlan) error {
	for _, r := range v.routes {
		if r.kind != unix.RTN_UNICAST {
			if err := n.addRoute(v, r, 0); err != nil {
				return err
			}
		}
	}
	for _, src := range v.sources {
		if err := n.host.RuleAdd(v.rule(src)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("rule for %s: %w", src, err)
		}
	}
	link, err := n.layLink(v)
	if err != nil || link == nil {
		return err
	}
	return n.leadBy(v, link)
}

// leadBy gives the interface its addresses, and the table its routes by it.
func (n *Network) leadBy(v vlan, link netlink.Link) error {
	for _, a := range v.addrs {
		addr := address(a)
		addr.Flags |= unix.IFA_F_NOPREFIXROUTE // the host's own packets do not leave by a segment's VLAN
		if err := n.host.AddrReplace(link, addr); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	n.settle(v)
	for _, r := range v.routes {
		if r.kind == unix.RTN_UNICAST {
			if err := n.addRoute(v, r, link.Attrs().Index); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle waits until the host takes packets to its new addresses as its own: those of IPv6 begin to work when a queue of
// the kernel gets to them. A router's answer to our first question, who it is, would be lost before that, and the next
// question comes a second later. Routes are laid all the same if it takes longer.
func (n *Network) settle(v vlan) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, a := range v.addrs {
		if err := until(ctx, local(n.host, a.Addr())); err != nil {
			n.log.Warn("an address is slow to come", "segment", v.segment, "address", a, "error", err)
		}
	}
}

func (v vlan) rule(src netip.Prefix) *netlink.Rule {
	r := netlink.NewRule()
	r.Priority, r.Table, r.Src, r.Protocol, r.Family = rulePriority, v.table, ipNet(src), routeProto, netlink.FAMILY_V6
	if src.Addr().Is4() {
		r.Family = netlink.FAMILY_V4
	}
	return r
}

func (n *Network) addRoute(v vlan, r route, link int) error {
	k := &netlink.Route{
		Table: v.table, Type: r.kind, Dst: ipNet(r.to), Priority: r.metric, LinkIndex: link, Protocol: routeProto,
	}
	if r.via.IsValid() {
		k.Gw, k.Flags = r.via.AsSlice(), int(netlink.FLAG_ONLINK)
	} else if r.kind == unix.RTN_UNICAST {
		k.Scope = netlink.SCOPE_LINK
	}
	if err := n.host.RouteAdd(k); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("route %s: %w", r, err)
	}
	return nil
}

// strayVLANs removes what an earlier configuration left: interfaces, rules and routes of ours that plan does not hold.
// An empty plan removes all of them.
func (n *Network) strayVLANs(plan []vlan, links []netlink.Link) error {
	stray := slices.DeleteFunc(slices.Clone(links), func(l netlink.Link) bool {
		return !n.isVLAN(l) || slices.ContainsFunc(plan, func(v vlan) bool { return v.name == l.Attrs().Name })
	})
	errs := []error{n.remove(stray...)}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		errs = append(errs, n.strayRules(plan, family), n.strayRoutes(plan, family))
	}
	return errors.Join(errs...)
}

func (n *Network) strayRules(plan []vlan, family int) error {
	rules, err := dump(func() ([]netlink.Rule, error) { return n.host.RuleListFiltered(family, nil, 0) })
	if err != nil {
		return skipFamily(fmt.Errorf("list rules: %w", err))
	}
	var errs []error
	for _, r := range rules {
		planned := slices.ContainsFunc(plan, func(v vlan) bool {
			return v.table == r.Table && r.Priority == rulePriority && slices.ContainsFunc(v.sources, func(s netip.Prefix) bool {
				return r.Src != nil && r.Src.String() == s.String()
			})
		})
		if ownTable(n.instance, r.Table) && !planned {
			r.Family = family
			errs = append(errs, n.host.RuleDel(&r))
		}
	}
	return errors.Join(errs...)
}

func (n *Network) strayRoutes(plan []vlan, family int) error {
	routes, err := dump(func() ([]netlink.Route, error) {
		return n.host.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return skipFamily(fmt.Errorf("list routes: %w", err))
	}
	var errs []error
	for _, r := range routes {
		planned := slices.ContainsFunc(plan, func(v vlan) bool { return v.table == r.Table && slices.Contains(v.routes, planned(r)) })
		if ownTable(n.instance, r.Table) && !planned {
			errs = append(errs, n.host.RouteDel(&r))
		}
	}
	return errors.Join(errs...)
}

// planned is a route of the kernel as a plan would write it.
func planned(r netlink.Route) route {
	p := route{kind: r.Type, metric: r.Priority}
	if r.Dst != nil {
		if to, ok := netip.AddrFromSlice(r.Dst.IP); ok {
			bits, _ := r.Dst.Mask.Size()
			p.to = netip.PrefixFrom(to, bits)
		}
	}
	if via, ok := netip.AddrFromSlice(r.Gw); ok {
		p.via = via.Unmap()
	}
	return p
}

// dump takes a list again that was changed under the kernel's hands.
func dump[T any](list func() ([]T, error)) ([]T, error) {
	for try := 0; ; try++ {
		all, err := list()
		if err == nil || !errors.Is(err, netlink.ErrDumpInterrupted) || try == 50 {
			return all, err
		}
	}
}

// skipFamily forgives a kernel that has no IPv6: nothing of ours can stand in it.
func skipFamily(err error) error {
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}
