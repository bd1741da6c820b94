package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	inside      = "eth0" // the site's end
	genModeNone = 1      // IN6_ADDR_GEN_MODE_NONE of linux/if_link.h: no link-local address
)

// label is what the alias of a port says.
type label struct {
	id, segment string
	slot        int
	Budget      // zero if it is the segment's
}

func (l label) String() string {
	return fmt.Sprintf("%s %s %d %d %d", l.id, l.segment, l.slot, l.Rate, l.Connections)
}

func parseLabel(alias string) (label, bool) {
	f := strings.Fields(alias)
	if len(f) == 3 {
		f = append(f, "0", "0") // of before sites had budgets
	}
	if len(f) != 5 {
		return label{}, false
	}
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(f[2+i]); err != nil {
			return label{}, false
		}
	}
	return label{f[0], f[1], n[0], Budget{Rate: n[1], Connections: n[2]}}, true
}

// Attach gives the network namespace an eth0 with the slot's addresses and plugs it into the segment. Attaching an
// id again replaces its link: the old namespace may still be dying. Nothing is left after an error.
func (n *Network) Attach(ctx context.Context, id, segment string, slot int, ns *os.File) error {
	if !siteID.MatchString(id) {
		return fmt.Errorf("attach: bad id %q", id)
	}
	p, err := n.port(segment, slot)
	if err != nil {
		return fmt.Errorf("attach %s: %w", id, err)
	}
	bridge, err := n.standing(p.shard)
	if err != nil {
		return fmt.Errorf("attach %s: %w", id, err)
	}
	if err := n.clear(id, p); err != nil {
		return fmt.Errorf("attach %s: %w", id, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := n.plug(ctx, id, p, bridge, ns); err != nil {
		return errors.Join(fmt.Errorf("attach %s: %w", id, err), n.unplug(p))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[id] = p
	return nil
}

// clear removes an earlier link of the same site, and refuses a slot that is another's.
func (n *Network) clear(id string, p port) error {
	link, err := n.host.LinkByName(p.link(n.instance))
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	if lb, ok := parseLabel(link.Attrs().Alias); !n.isPort(link) || ok && lb.id != id {
		return fmt.Errorf("slot %d is taken by %q", p.slot, link.Attrs().Alias)
	}
	return n.remove(link)
}

// plug works from the inside out: the outer end comes up last, when every fence around it stands.
func (n *Network) plug(ctx context.Context, id string, p port, bridge int, ns *os.File) error {
	link, err := n.addPair(p, ns)
	if err != nil {
		return fmt.Errorf("make veth: %w", err)
	}
	n.mu.Lock()
	lb := label{id, p.Name, p.slot, n.budgets[p]}
	n.mu.Unlock()
	if err := n.host.LinkSetAlias(link, lb.String()); err != nil {
		return fmt.Errorf("label: %w", err)
	}
	if err := n.fence(link, bridge); err != nil {
		return err
	}
	// Sockets opened in the site's namespace configure its end; no goroutine ever stays there.
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink inside: %w", err)
	}
	defer h.Close()
	if err := n.setUpInside(h, p); err != nil {
		return fmt.Errorf("inside: %w", err)
	}
	if err := n.introduce(link, p, bridge); err != nil {
		return err
	}
	if err := n.host.LinkSetUp(link); err != nil {
		return err
	}
	return n.ready(ctx, h, p)
}

// ready waits until a packet that is sent now arrives. Links that were up without a partner, a bridge without ports
// and a new IPv6 address begin to work only when a queue of the kernel gets to them, mostly within a millisecond. A
// packet before that is lost, and TCP then waits a whole second.
func (n *Network) ready(ctx context.Context, h *netlink.Handle, p port) error {
	conditions := []func() (bool, error){
		carrier(n.host, p.link(n.instance)),
		carrier(n.host, p.bridge(n.instance)),
		carrier(h, inside),
	}
	if n.v6 {
		conditions = append(conditions, local(h, p.addr(n.instance).V6))
	}
	for _, c := range conditions {
		if err := until(ctx, c); err != nil {
			return fmt.Errorf("wait for the link: %w", err)
		}
	}
	return nil
}

func carrier(h *netlink.Handle, name string) func() (bool, error) {
	return func() (bool, error) {
		link, err := h.LinkByName(name)
		return err == nil && link.Attrs().OperState == netlink.OperUp, err
	}
}

// local tells whether a namespace takes packets to an address as its own.
func local(h *netlink.Handle, a netip.Addr) func() (bool, error) {
	return func() (bool, error) {
		routes, err := h.RouteGet(a.AsSlice())
		return len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL, err
	}
}

func until(ctx context.Context, condition func() (bool, error)) error {
	for wait := 20 * time.Microsecond; ; wait = min(wait*2, 5*time.Millisecond) {
		if ok, err := condition(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// addPair makes both ends in one message, the inner one in the site's namespace under its final name.
func (n *Network) addPair(p port, ns *os.File) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Group = p.link(n.instance), group(n.instance)
	attrs.NumTxQueues, attrs.NumRxQueues = 1, 1 // else one per processor, with their memory
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: inside, PeerHardwareAddr: p.addr(n.instance).MAC,
		PeerNamespace: netlink.NsFd(int(ns.Fd())),
	}
	if err := n.host.LinkAdd(veth); err != nil {
		return nil, err
	}
	return n.host.LinkByName(attrs.Name)
}

// fence makes the link, still down, an isolated port that learns no address, floods nothing and has no IPv6.
func (n *Network) fence(link netlink.Link, bridge int) error {
	if n.v6 {
		if err := setSysctl("ipv6/conf/"+link.Attrs().Name+"/disable_ipv6", "1"); err != nil {
			return err
		}
	}
	if err := n.host.LinkSetMasterByIndex(link, bridge); err != nil {
		return fmt.Errorf("join bridge: %w", err)
	}
	if err := n.host.LinkSetIsolated(link, true); err != nil {
		return fmt.Errorf("isolate: %w", err)
	}
	if err := n.host.LinkSetLearning(link, false); err != nil {
		return fmt.Errorf("stop learning: %w", err)
	}
	if err := n.host.LinkSetFlood(link, false); err != nil {
		return fmt.Errorf("stop flooding: %w", err)
	}
	return nil
}

// introduce tells bridge and host where the site is, for good, so that neither ever has to ask.
func (n *Network) introduce(link netlink.Link, p port, bridge int) error {
	a := p.addr(n.instance)
	// NUD_NOARP is what the bridge calls static; permanent would mean "this is the host's own address".
	station := &netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP,
		Flags: netlink.NTF_MASTER, HardwareAddr: a.MAC,
	}
	if err := n.host.NeighSet(station); err != nil {
		return fmt.Errorf("station %s: %w", a.MAC, err)
	}
	return n.neighbours(n.host, bridge, a.MAC, a.V4, a.V6)
}

func (n *Network) neighbours(h *netlink.Handle, index int, mac net.HardwareAddr, addrs ...netip.Addr) error {
	for _, ip := range addrs {
		if ip.Is6() && !n.v6 {
			continue
		}
		if err := h.NeighSet(neighbour(index, mac, ip)); err != nil {
			return fmt.Errorf("neighbour %s: %w", ip, err)
		}
	}
	return nil
}

func neighbour(index int, mac net.HardwareAddr, ip netip.Addr) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, IP: ip.AsSlice(), HardwareAddr: mac}
}

// setUpInside configures the site's end.
func (n *Network) setUpInside(h *netlink.Handle, p port) error {
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	eth, err := h.LinkByName(inside)
	if err != nil {
		return err
	}
	if err := h.LinkSetUp(lo); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	if n.v6 {
		if err := h.LinkSetIP6AddrGenMode(eth, genModeNone); err != nil {
			return fmt.Errorf("no link-local address: %w", err)
		}
	}
	if err := h.LinkSetUp(eth); err != nil {
		return err
	}
	return n.addressInside(h, eth.Attrs().Index, p)
}

// addressInside gives eth0 its addresses as single hosts: everything, other sites included, goes to the gateway.
func (n *Network) addressInside(h *netlink.Handle, eth int, p port) error {
	a := p.addr(n.instance)
	link := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: eth, Name: inside}}
	if err := n.neighbours(h, eth, gatewayMAC(n.instance), p.gateway4(), p.gateway6()); err != nil {
		return err
	}
	for _, pair := range [][2]netip.Addr{{a.V4, p.gateway4()}, {a.V6, p.gateway6()}} {
		own, gateway := pair[0], pair[1]
		if own.Is6() && !n.v6 {
			continue
		}
		if err := h.AddrAdd(link, address(netip.PrefixFrom(own, own.BitLen()))); err != nil {
			return fmt.Errorf("address %s: %w", own, err)
		}
		route := &netlink.Route{LinkIndex: eth, Gw: gateway.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
		if err := h.RouteAdd(route); err != nil {
			return fmt.Errorf("route by %s: %w", gateway, err)
		}
	}
	return nil
}

// Detach unplugs a site. Detaching one that is not attached is a no-op; often the link has gone with its namespace.
func (n *Network) Detach(id string) error {
	p, ok, err := n.find(id)
	if err == nil && ok {
		err = n.unplug(p)
	}
	if err != nil {
		return fmt.Errorf("detach %s: %w", id, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.ports, id)
	return nil
}

// find remembers where a site is plugged in, or looks for a port that an earlier process made.
func (n *Network) find(id string) (port, bool, error) {
	n.mu.Lock()
	p, ok := n.ports[id]
	n.mu.Unlock()
	if ok {
		return p, true, nil
	}
	links, err := n.links()
	if err != nil {
		return port{}, false, err
	}
	for _, l := range links {
		if lb, ok := parseLabel(l.Attrs().Alias); ok && lb.id == id && n.isPort(l) {
			p, err := n.port(lb.segment, lb.slot)
			return p, err == nil, err
		}
	}
	return port{}, false, nil
}

// unplug removes the port and what the host knows of its neighbour. The entries of a port that vanished by itself
// stay: they are the same for the slot's next owner.
func (n *Network) unplug(p port) error {
	link, err := n.host.LinkByName(p.link(n.instance))
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	a, bridge := p.addr(n.instance), link.Attrs().MasterIndex
	if bridge != 0 {
		_ = n.host.NeighDel(neighbour(bridge, a.MAC, a.V4)) // absent after a half-made attach
		_ = n.host.NeighDel(neighbour(bridge, a.MAC, a.V6))
	}
	return n.remove(link)
}
