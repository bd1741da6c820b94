package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bridgeSysctls make the host take no instruction from a segment.
var bridgeSysctls = map[string][][2]string{
	"ipv4": {
		{"forwarding", "1"},
		{"rp_filter", "1"},
		{"proxy_arp", "0"},
		{"accept_redirects", "0"},
		{"send_redirects", "0"},
		{"accept_source_route", "0"},
		{"accept_local", "0"},
		{"route_localnet", "0"},
	},
	"ipv6": {
		{"addr_gen_mode", "1"},
		{"accept_ra", "0"},
		{"autoconf", "0"},
		{"accept_dad", "0"},
		{"accept_redirects", "0"},
		{"proxy_ndp", "0"},
		{"accept_source_route", "0"},
	},
}

// makeBridge makes or adopts the bridge of a shard and returns its index.
func (n *Network) makeBridge(sh shard) (int, error) {
	name := sh.bridge(n.instance)
	link, err := n.findBridge(name)
	if err == nil && link == nil {
		link, err = n.addBridge(name)
	}
	if err == nil {
		err = n.setUpBridge(link, sh)
	}
	if err != nil {
		return 0, fmt.Errorf("bridge %s: %w", name, err)
	}
	return link.Attrs().Index, nil
}

// findBridge returns our bridge of that name, nil if there is none, and an error if the name is somebody else's.
func (n *Network) findBridge(name string) (netlink.Link, error) {
	link, err := n.host.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !n.owns(link) || link.Type() != "bridge" {
		return nil, errors.New("exists and is not ours")
	}
	return link, nil
}

func (n *Network) addBridge(name string) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Group, attrs.HardwareAddr = name, group(n.instance), gatewayMAC(n.instance)
	snoop := false
	if err := n.host.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snoop}); err != nil {
		return nil, err
	}
	return n.host.LinkByName(name)
}

func (n *Network) setUpBridge(link netlink.Link, sh shard) error {
	if link.Attrs().Alias == "" {
		if err := n.host.LinkSetAlias(link, n.bridgeAlias()); err != nil {
			return fmt.Errorf("label: %w", err)
		}
	}
	if err := n.linkSysctls(link.Attrs().Name, bridgeSysctls); err != nil {
		return err
	}
	if err := n.host.AddrReplace(link, address(sh.net4())); err != nil {
		return fmt.Errorf("address %s: %w", sh.net4(), err)
	}
	if n.v6 {
		if err := n.host.AddrReplace(link, address(sh.net6())); err != nil {
			return fmt.Errorf("address %s: %w", sh.net6(), err)
		}
	}
	return n.host.LinkSetUp(link)
}

func (n *Network) linkSysctls(name string, all map[string][][2]string) error {
	for family, list := range all {
		if family == "ipv6" && !n.v6 {
			continue
		}
		for _, kv := range list {
			if err := setSysctl(family+"/conf/"+name+"/"+kv[0], kv[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// standing returns the index of a shard's bridge. The first port of a shard makes it: rules first, then the bridge.
func (n *Network) standing(sh shard) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if index, ok := n.shards[sh]; ok {
		return index, nil
	}
	if err := n.nft(n.shardRules(sh)); err != nil {
		return 0, err
	}
	index, err := n.makeBridge(sh)
	if err != nil {
		return 0, err
	}
	n.shards[sh] = index
	return index, nil
}

// address is p for a link, usable at once: nobody else can have it, so no duplicate is looked for.
func address(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
