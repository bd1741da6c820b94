// Package network gives each site a link, two addresses and a fence (RULE NET, RULE L3).
//
// A segment is a bridge with a gateway address; a site is a veth pair whose outer end is an isolated port of it:
//
//	box: eth0  <---- veth ---->  petitpont-s2a  [ bridge petitpont_s0, 10.64.0.1, fd..::1 ]  host  ---- NAT ---- world
//
// A port may only send as its own MAC, IPv4 and IPv6 address, only to the gateway, and never speaks ARP, neighbour
// discovery, DHCP or VLAN. The host opens connections to sites; sites answer, and reach the world but neither the
// host, nor each other, nor private addresses, nor mail ports. Everything is labelled with the instance (RULE OWN),
// and nothing that is not labelled is touched.
//
// It works in the network namespace of the process. It needs root and the program nft.
package network

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Config says which network Open makes.
type Config struct {
	Instance string // labels every object: a letter and at most 8 letters or digits
	Segments []Segment
	Policies map[string]Policy // by segment: what its sites may do in the world
	DNS      []netip.Addr      // who answers the sites' questions, at most one of each family; may be private, or this host
	Log      *slog.Logger      // nil: the default logger

	trunk trunk // tests only: what makes VLANs
}

// Network is an open network. Its methods may be called from any goroutine; calls about one id are serialised by
// the caller.
type Network struct {
	instance string
	segments []Segment
	policies map[string]Policy
	dns      []netip.Addr
	log      *slog.Logger
	host     *netlink.Handle
	v6       bool // the host's kernel has IPv6
	trunk    trunk
	vlans    []vlan
	before   before // sysctls as they were before the first instance
	grave    grave

	mu          sync.Mutex
	shards      map[shard]int   // bridges that stand, with their index
	budgets     map[port]Budget // of sites that do not follow their segment's policy
	ports       map[string]port // by id, of what this process attached
	generations []uint32        // of the rules, that our last transactions have made
	untouched   uint32          // the generation up to which nobody else has changed a rule since our last reload
	closed      bool
}

// Open makes the bridges and rules of the instance, or adopts those it finds: attached sites never notice.
// A VLAN that cannot be made is an error of the first Open only; of a network that stands, Keep goes on trying.
// Addresses of an adopted bridge are those of its first Open; change a segment's block only after a Close.
func Open(c Config) (*Network, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	n := &Network{
		instance: c.Instance, segments: c.Segments, policies: c.Policies, dns: c.DNS, log: c.Log, host: host, v6: hasIPv6(),
		shards: map[shard]int{}, ports: map[string]port{}, budgets: map[port]Budget{}, trunk: c.trunk,
	}
	if n.trunk == nil {
		n.trunk = dot1q{}
	}
	n.vlans = vlans(n.instance, n.segments, n.v6)
	links, err := n.openable()
	if err != nil {
		host.Close()
		return nil, fmt.Errorf("open network: %w", err)
	}
	n.before = n.readBefore(links)
	err = n.open(links)
	if err != nil && !slices.ContainsFunc(links, n.owns) {
		err = errors.Join(err, n.Close()) // all of it is this call's own
	}
	if err != nil {
		host.Close()
		return nil, fmt.Errorf("open network %s: %w", n.instance, err)
	}
	return n, nil
}

// openable tells what is there, before anything is made.
func (n *Network) openable() ([]netlink.Link, error) {
	if err := n.checkName(); err != nil {
		return nil, err
	}
	return n.links()
}

// open loads the rules before forwarding is switched on and before any link goes up.
func (n *Network) open(links []netlink.Link) error {
	n.recall(links)
	standing := n.wanted(links)
	for sh := range standing {
		n.shards[sh] = 0
	}
	if err := n.reload(); err != nil {
		return err
	}
	given, err := n.givenUp()
	if err := errors.Join(err, n.strayVLANs(n.vlans, links)); err != nil {
		return err
	}
	if err := n.layVLANs(); err != nil {
		if !slices.ContainsFunc(links, n.owns) {
			return err
		}
		n.log.Error("a segment has no way out", "error", err) // no reason to let the others go: Keep tries on
	}
	for sh := range standing {
		index, err := n.makeBridge(sh)
		if err != nil {
			return err
		}
		n.shards[sh] = index
	}
	n.sweep(links)
	if err := n.endMoved(given); err != nil { // the kernel forgets them too, in days
		n.log.Warn("some connections leave under an address of before", "error", err)
	}
	return n.forward()
}

// wanted is the first shard of each segment, and those a previous process made.
func (n *Network) wanted(links []netlink.Link) map[shard]bool {
	want := map[shard]bool{}
	for _, s := range n.segments {
		want[shard{s, 0}] = true
		for i := 1; i < s.slots()/shardSlots; i++ {
			if sh := (shard{s, i}); named(links, sh.bridge(n.instance)) {
				want[sh] = true
			}
		}
	}
	return want
}

// Reload puts the rules back as they have to be, in one transaction: for a host whose own firewall flushed them.
func (n *Network) Reload() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reload()
}

func (n *Network) reload() error {
	text, err := n.rules()
	if err != nil {
		return err
	}
	if n.untouched, err = generation(); err != nil { // whatever was changed before, it is replaced
		return err
	}
	return n.nft(text)
}

// Addr is the address a slot of a segment has, attached or not.
func (n *Network) Addr(segment string, slot int) (Addr, error) {
	p, err := n.port(segment, slot)
	if err != nil {
		return Addr{}, err
	}
	a := p.addr(n.instance)
	a.Resolver = n.resolver(p.shard)
	return a, nil
}

func (n *Network) port(segment string, slot int) (port, error) {
	for _, s := range n.segments {
		if s.Name == segment {
			return s.port(slot)
		}
	}
	return port{}, fmt.Errorf("no segment %q", segment)
}

// List names the sites that are attached, as the kernel shows it.
func (n *Network) List() ([]string, error) {
	links, err := n.links()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, l := range links {
		if n.isPort(l) {
			if lb, ok := parseLabel(l.Attrs().Alias); ok {
				ids = append(ids, lb.id)
			}
		}
	}
	return ids, nil
}

// Close removes every object of the instance: ports, bridges, rules. It gives back the sysctls when no other
// instance needs them. Sites that are still attached lose their network. Closing twice is a no-op.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	links, err := n.links()
	if err != nil {
		return err
	}
	var errs []error
	own := slices.DeleteFunc(slices.Clone(links), func(l netlink.Link) bool { return !n.owns(l) })
	errs = append(errs, n.remove(own...), n.strayVLANs(nil, nil))
	// Forwarding ends before the rules that fence it do.
	errs = append(errs, n.restore(links), n.nft(fmt.Sprintf(
		"add table bridge %[1]s\ndelete table bridge %[1]s\nadd table inet %[1]s\ndelete table inet %[1]s\n", n.instance)))
	n.closed = true
	n.host.Close()
	return errors.Join(errs...)
}

// links lists all links.
func (n *Network) links() ([]netlink.Link, error) {
	links, err := dump(n.host.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return links, nil
}

// owns tells whether a link carries the label of this instance: its group, set when it was created, and its name.
func (n *Network) owns(l netlink.Link) bool {
	a := l.Attrs()
	return n.isVLAN(l) || (a.Group == group(n.instance) || a.Group == graveGroup(n.instance)) &&
		(strings.HasPrefix(a.Name, n.instance+"-") || strings.HasPrefix(a.Name, n.instance+"_"))
}

func (n *Network) isPort(l netlink.Link) bool {
	return n.owns(l) && l.Type() == "veth" && strings.HasPrefix(l.Attrs().Name, n.instance+"-")
}

// sweep removes ports that a killed Attach left before it could say whose they are, and those a killed Detach left.
func (n *Network) sweep(links []netlink.Link) {
	for _, l := range links {
		_, ok := parseLabel(l.Attrs().Alias)
		if n.isPort(l) && (!ok || l.Attrs().Group == graveGroup(n.instance)) {
			n.log.Info("half-made port removed", "link", l.Attrs().Name)
			if err := n.remove(l); err != nil {
				n.log.Warn("remove port", "link", l.Attrs().Name, "error", err)
			}
		}
	}
}

func named(links []netlink.Link, name string) bool {
	for _, l := range links {
		if l.Attrs().Name == name {
			return true
		}
	}
	return false
}
