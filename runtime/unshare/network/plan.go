package network

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"regexp"
	"strconv"
)

// Everything a port needs follows from (instance, segment, slot) by arithmetic: names, MAC and addresses are never
// stored, so nothing has to be kept in step and a restarted daemon finds them again.
const (
	shardSlots = 1000    // ports per bridge; the kernel refuses the 1,024th
	shardAddrs = 1 << 10 // addresses per bridge: its gateway is the first, sites begin at siteOffset
	siteOffset = 10
	maxSlot    = 63999 // 64 bridges; also keeps a port's name within 15 bytes
)

// Segment is one group of sites that shares a policy and a block of addresses: one bridge, more past 1,000 slots.
type Segment struct {
	Name   string       // [a-z][a-z0-9]*; first letters differ between segments, they become part of interface names
	V4     netip.Prefix // private block; each 1,024 addresses hold 1,000 slots
	V6     netip.Prefix // unique local block, /96 or larger
	Uplink string       // "", or the only interface by which the segment's traffic leaves; absent, none leaves
	VLAN   int          // 0, or the VLAN of Uplink by which it leaves instead: Open makes the interface "Uplink.VLAN"

	// With a VLAN, optional: this host's address in it and its router, by family. With an address the segment has routes
	// of its own (see vlan); without one the host's own routes have to lead by that interface.
	Address4, Address6 netip.Prefix
	Gateway4, Gateway6 netip.Addr
}

// Addr is what a site is known by on its segment.
type Addr struct {
	V4, V6   netip.Addr
	MAC      net.HardwareAddr
	Resolver netip.Addr // whom it asks for names; invalid without one
}

// DefaultSegments divides a private IPv4 block, /18 or larger, into the three segments of a school. The IPv6 blocks
// are unique local ones derived from it, so the same block gives the same addresses for ever.
func DefaultSegments(block netip.Prefix) ([]Segment, error) {
	if !block.Addr().Is4() || block.Bits() > 18 {
		return nil, fmt.Errorf("block %s: an IPv4 block of /18 or larger is needed", block)
	}
	block = block.Masked()
	bits := min(max(block.Bits()+2, 16), 20)
	sum := sha256.Sum256([]byte("petitpont " + block.String()))
	var out []Segment
	for i, name := range []string{"student", "teacher", "association"} {
		v4 := nth4(block.Addr(), uint32(i)<<(32-bits))
		v6 := [16]byte{0: 0xfd, 7: byte(i + 1)}
		copy(v6[1:6], sum[:5])
		out = append(out, Segment{Name: name, V4: netip.PrefixFrom(v4, bits), V6: netip.PrefixFrom(netip.AddrFrom16(v6), 64)})
	}
	return out, nil
}

var (
	instanceName = regexp.MustCompile(`^[a-z][a-z0-9]{0,8}$`)
	segmentName  = regexp.MustCompile(`^[a-z][a-z0-9]{0,30}$`)
	siteID       = regexp.MustCompile(`^[a-z0-9]{1,32}$`)
	linkName     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)
)

// Check holds every name that will become an interface name or an nft token to its alphabet (RULE ARG), and tells what
// cannot be meant. It asks nothing of the kernel: Open does.
func (c Config) Check() error {
	if !instanceName.MatchString(c.Instance) {
		return fmt.Errorf("instance %q: want a letter and at most 8 letters or digits", c.Instance)
	}
	if len(c.Segments) == 0 {
		return errors.New("no segment")
	}
	if err := checkDNS(c.DNS); err != nil {
		return err
	}
	for name, p := range c.Policies {
		if err := p.check(); err != nil {
			return fmt.Errorf("policy of %q: %w", name, err)
		}
	}
	for i, s := range c.Segments {
		if err := s.check(); err != nil {
			return fmt.Errorf("segment %q: %w", s.Name, err)
		}
		for _, o := range c.Segments[:i] {
			if o.Name[0] == s.Name[0] || o.V4.Overlaps(s.V4) || o.V6.Overlaps(s.V6) {
				return fmt.Errorf("segments %q and %q share their first letter or addresses", o.Name, s.Name)
			}
		}
	}
	return checkVLANs(c.Segments)
}

func (s Segment) check() error {
	switch {
	case !segmentName.MatchString(s.Name):
		return errors.New("name: want lower case letters and digits")
	case !s.V4.Addr().Is4() || s.V4.Bits() > 22 || s.V4 != s.V4.Masked() || !s.V4.Addr().IsPrivate():
		return fmt.Errorf("%s: want a private IPv4 block of /22 or larger", s.V4)
	case !s.V6.Addr().Is6() || s.V6.Bits() > 96 || s.V6 != s.V6.Masked() || !s.V6.Addr().IsPrivate():
		return fmt.Errorf("%s: want a unique local IPv6 block of /96 or larger", s.V6)
	case s.Uplink != "" && !linkName.MatchString(s.exit()):
		return fmt.Errorf("uplink %q: not an interface name of at most 15 letters", s.exit())
	}
	return s.checkVLAN()
}

// exit is the only interface the segment's traffic may leave by, "" for any.
func (s Segment) exit() string {
	if s.VLAN == 0 {
		return s.Uplink
	}
	return s.Uplink + "." + strconv.Itoa(s.VLAN)
}

// slots is how many slots the segment's IPv4 block has room for.
func (s Segment) slots() int {
	return min(maxSlot+1, (1<<(32-s.V4.Bits()))/shardAddrs*shardSlots)
}

// shard is one bridge of a segment with its gateway addresses.
type shard struct {
	Segment
	n int
}

func (s Segment) shardOf(slot int) (shard, error) {
	if slot < 0 || slot >= s.slots() {
		return shard{}, fmt.Errorf("slot %d: segment %s has %d", slot, s.Name, s.slots())
	}
	return shard{s, slot / shardSlots}, nil
}

// bridge is the name of the shard's bridge. It holds "_" where ports hold "-": rules tell them apart by that.
func (s shard) bridge(instance string) string {
	return instance + "_" + s.Name[:1] + strconv.Itoa(s.n)
}

func (s shard) gateway4() netip.Addr { return nth4(s.V4.Addr(), uint32(s.n*shardAddrs+1)) }
func (s shard) gateway6() netip.Addr { return nth6(s.V6.Addr(), uint32(s.n)<<16+1) }
func (s shard) net4() netip.Prefix   { return netip.PrefixFrom(s.gateway4(), 22) }
func (s shard) net6() netip.Prefix   { return netip.PrefixFrom(s.gateway6(), 112) }

// port is the host's end of a site's link.
type port struct {
	shard
	slot int
}

func (s Segment) port(slot int) (port, error) {
	sh, err := s.shardOf(slot)
	return port{sh, slot}, err
}

// link is the port's name. It holds the segment, because the rules bind a name to one address.
func (p port) link(instance string) string {
	return instance + "-" + p.Name[:1] + strconv.FormatInt(int64(p.slot), 36)
}

func (p port) addr(instance string) Addr {
	in := uint32(p.slot%shardSlots + siteOffset)
	return Addr{
		V4:  nth4(p.V4.Addr(), uint32(p.n*shardAddrs)+in),
		V6:  nth6(p.V6.Addr(), uint32(p.n)<<16+in),
		MAC: mac(0x02, instance, p.Name[0], p.slot),
	}
}

// gatewayMAC is the address of every bridge of the instance. It is fixed because a bridge otherwise takes the
// lowest address of its ports, and each change costs the sites their gateway for seconds.
func gatewayMAC(instance string) net.HardwareAddr { return mac(0x06, instance, 0, 1) }

func mac(first byte, instance string, segment byte, n int) net.HardwareAddr {
	h := hash(instance)
	return net.HardwareAddr{first, byte(h >> 8), byte(h), segment, byte(n >> 8), byte(n)}
}

// group labels every link of the instance in the same message that creates it (RULE OWN).
func group(instance string) uint32 { return hash(instance)&0x0fffffff | 0x50000000 }

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

func nth4(base netip.Addr, n uint32) netip.Addr {
	b := base.As4()
	addUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func nth6(base netip.Addr, n uint32) netip.Addr {
	b := base.As16()
	addUint32(b[12:], n)
	return netip.AddrFrom16(b)
}

func addUint32(b []byte, n uint32) {
	for i := 3; i >= 0; i-- {
		n += uint32(b[i])
		b[i] = byte(n)
		n >>= 8
	}
}
