package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// trunk makes the interfaces of VLANs on an uplink, and knows them again. It is 802.1Q, but for tests on a kernel that
// has none: everything around the tag is the same there.
type trunk interface {
	kind() string // of its links, as the kernel names it
	add(h *netlink.Handle, attrs netlink.LinkAttrs, id int) error
	carries(l netlink.Link, parent, id int) bool
}

type dot1q struct{}

func (dot1q) kind() string { return "vlan" }

func (dot1q) add(h *netlink.Handle, attrs netlink.LinkAttrs, id int) error {
	return explainVLAN(h.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: id, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}))
}

func (dot1q) carries(l netlink.Link, parent, id int) bool {
	v, ok := l.(*netlink.Vlan)
	return ok && v.ParentIndex == parent && v.VlanId == id && v.VlanProtocol == netlink.VLAN_PROTOCOL_8021Q
}

// errNoVLAN is what the kernel's "operation not supported" means: it has already tried to load the module by itself.
var errNoVLAN = errors.New("this kernel has no VLANs: its module 8021q is missing, or may not be loaded (modprobe 8021q)")

func explainVLAN(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: %w", errNoVLAN, err)
	}
	return err
}

// layLink makes or adopts the interface of a VLAN. It returns nil while its uplink is down: the kernel takes both up
// together, and then we are told.
func (n *Network) layLink(v vlan) (netlink.Link, error) {
	parent, err := n.host.LinkByName(v.parent)
	if err != nil {
		return nil, fmt.Errorf("uplink %s: %w", v.parent, err)
	}
	link, err := n.findVLAN(v, parent.Attrs().Index)
	if err == nil && link == nil {
		link, err = n.addVLAN(v, parent.Attrs().Index)
	}
	if err != nil {
		return nil, err
	}
	if err := n.vlanSysctls(v.name); err != nil { // also when it is up: somebody else may have been faster with that
		return nil, err
	}
	if link.Attrs().Flags&unix.IFF_UP == 0 {
		err = n.host.LinkSetUp(link)
	}
	if errors.Is(err, unix.ENETDOWN) {
		n.log.Warn("a segment has no way out: its uplink is down", "segment", v.segment, "uplink", v.parent)
		return nil, nil
	}
	return link, err
}

// findVLAN returns our interface, nil if there is none. One that was made for another configuration, or not labelled in
// time, is removed; one of somebody else's is an error.
func (n *Network) findVLAN(v vlan, parent int) (netlink.Link, error) {
	link, err := n.host.LinkByName(v.name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !n.owns(link) {
		return nil, fmt.Errorf("%s exists and is not ours: remove it, or name it as the uplink, without a vlan", v.name)
	}
	if link.Attrs().Alias == v.label && n.trunk.carries(link, parent, v.id) {
		return link, nil
	}
	return nil, n.remove(link)
}

func (n *Network) addVLAN(v vlan, parent int) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Group, attrs.ParentIndex = v.name, group(n.instance), parent
	if err := n.trunk.add(n.host, attrs, v.id); err != nil {
		return nil, err
	}
	link, err := n.host.LinkByName(v.name)
	if err != nil {
		return nil, err
	}
	return link, n.host.LinkSetAlias(link, v.label)
}

// vlanSysctls make the host forward there, answer for no other of its addresses, and take no instruction.
func (n *Network) vlanSysctls(name string) error {
	all := map[string][][2]string{
		"ipv4": {
			{"forwarding", "1"},
			{"arp_ignore", "1"},
			{"arp_announce", "2"},
			{"proxy_arp", "0"},
			{"accept_redirects", "0"},
			{"send_redirects", "0"},
			{"accept_source_route", "0"},
			{"accept_local", "0"},
			{"route_localnet", "0"},
		},
		"ipv6": {
			{"accept_ra", "0"}, {"autoconf", "0"}, {"accept_redirects", "0"}, {"proxy_ndp", "0"}, {"accept_source_route", "0"},
		},
	}
	return n.linkSysctls(name, all)
}

// isVLAN tells whether a link is one of the instance's VLANs: labelled, of that kind, and named after its uplink.
func (n *Network) isVLAN(l netlink.Link) bool {
	a := l.Attrs()
	return (a.Group == group(n.instance) || a.Group == graveGroup(n.instance)) &&
		l.Type() == n.trunk.kind() && strings.Contains(a.Name, ".")
}

// Look tells which VLANs of the segments do not carry, in words for an administrator. It needs no rights.
func Look(segments []Segment) error {
	var errs []error
	for _, v := range vlans("", segments, true) {
		if err := v.look(); err != nil {
			errs = append(errs, fmt.Errorf("segment %s: %w", v.segment, err))
		}
	}
	return errors.Join(errs...)
}

func (v vlan) look() error {
	for _, name := range []string{v.parent, v.name} {
		link, err := netlink.LinkByName(name)
		if errors.As(err, new(netlink.LinkNotFoundError)) && name == v.name && !loaded() {
			return fmt.Errorf("%s is not there: %w", name, errNoVLAN)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// An interface that cannot tell has an unknown state, and works.
		if state := link.Attrs().OperState; state != netlink.OperUp && state != netlink.OperUnknown {
			return fmt.Errorf("%s is %s", name, state)
		}
	}
	return nil
}

// loaded tells whether the kernel has 802.1Q at this moment. It is loaded with the first VLAN.
func loaded() bool {
	_, err := os.Stat("/proc/net/vlan")
	return !errors.Is(err, fs.ErrNotExist)
}
