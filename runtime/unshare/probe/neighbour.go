package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// neighbours are attacks over the network. The switches of these walls are the rules and the bridge themselves: a test
// takes them down in the kernel.
var neighbours = []Probe{
	{Name: "neighbour's server", Kind: Neighbour, About: "its web server over IPv4 and IPv6, past the proxy", Wall: "rules of the host", try: func(w World) (string, error) {
		return connects(w.Neighbour)
	}},
	{Name: "host's services", Kind: Neighbour, About: "a server on every address of the host", Wall: "rules of the host", try: func(w World) (string, error) {
		return connects(w.Host)
	}},
	{Name: "host's services by UDP", Kind: Neighbour, About: "the same with datagrams", Wall: "rules of the host", Seen: true, try: datagrams},
	{Name: "closed addresses", Kind: Neighbour, About: "metadata services, private networks, mail servers", Wall: "rules of the host", try: func(w World) (string, error) {
		return connects(w.Closed)
	}},
	{Name: FrameToNeighbour, Kind: Neighbour, About: "a frame to the neighbour's card, past the host", Wall: "isolated ports", Also: append([]string{"rules of the bridge"}, frames...), Who: RootOnly, Seen: true, try: frame(FrameToNeighbour, toNeighbour)},
	{Name: "forged IPv6 address", Kind: Neighbour, About: "a datagram from the neighbour's address, which needs no right at all", Wall: "rules of the bridge", Seen: true, try: forge6},
	{Name: "forged IPv4 address", Kind: Neighbour, About: "the same in IPv4", Wall: "rules of the bridge", Also: frames, Who: RootOnly, Seen: true, try: frame("forged IPv4 address", forgedIPv4)},
	{Name: "forged MAC address", Kind: Neighbour, About: "a frame from the neighbour's card", Wall: "rules of the bridge", Also: frames, Who: RootOnly, Seen: true, try: frame("forged MAC address", forgedMAC)},
	{Name: "forged ARP answer", Kind: Neighbour, About: "\"the neighbour's address is mine\"", Wall: "rules of the bridge", Also: frames, Who: RootOnly, Seen: true, try: frame("forged ARP answer", forgedARP)},
	{Name: "forged router", Kind: Neighbour, About: "a router advertisement to host and neighbours", Wall: "rules of the bridge", Also: frames, Who: RootOnly, Seen: true, try: frame("forged router", forgedRouter)},
}

// raised are the same frames with the rights of the host, from inside the site's network: in a site they would rest on
// the filter and the missing capability alone, and nobody would see whether the bridge still holds.
var raised = []Probe{
	again(FrameToNeighbour, "isolated ports", toNeighbour, "rules of the bridge"),
	again("forged IPv4 address", "rules of the bridge", forgedIPv4),
	again("forged MAC address", "rules of the bridge", forgedMAC),
	again("forged ARP answer", "rules of the bridge", forgedARP),
	again("forged router", "rules of the bridge", forgedRouter),
}

// Past is what the name of a probe ends with that is tried with the first wall lifted.
const Past = ", unfiltered"

func again(name, wall string, build func(link, []byte) []byte, also ...string) Probe {
	return Probe{
		Name: name + Past, Kind: Neighbour, About: "sent with the host's rights, to see that the next wall holds", Wall: wall, Also: also,
		Who: Raised, Seen: true, try: frame(name+Past, build),
	}
}

// FrameToNeighbour is the one probe whose packets would not arrive at the host.
const FrameToNeighbour = "frame to the neighbour"

// frames is what stands before the bridge: without these a site can make no frame at all.
var frames = []string{"seccomp:families", "capability NET_RAW"}

// connects tries all addresses at once.
func connects(addrs []string) (string, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var got []string
	for _, a := range addrs {
		wg.Go(func() {
			c, err := net.DialTimeout("tcp", a, 1500*time.Millisecond)
			if err != nil {
				return
			}
			_ = c.Close()
			mu.Lock()
			defer mu.Unlock()
			got = append(got, a)
		})
	}
	wg.Wait()
	return strings.Join(got, " "), nil
}

func datagrams(w World) (string, error) {
	for _, a := range w.Host {
		if c, err := net.Dial("udp", a); err == nil {
			_, _ = c.Write(Mark("host's services by UDP"))
			_ = c.Close()
		}
	}
	return "", nil
}

// forge6 binds to an address that is not ours, which IPv6 lets anybody do.
func forge6(w World) (string, error) {
	from, err := netip.ParseAddr(w.Forge6)
	to, err2 := netip.ParseAddr(w.Gateway6)
	if err := errors.Join(err, err2); err != nil {
		return "", err
	}
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(s) }()
	if err := errors.Join(unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1), unix.Bind(s, &unix.SockaddrInet6{Addr: from.As16()})); err != nil {
		return "", nil
	}
	_ = unix.Sendto(s, Mark("forged IPv6 address"), 0, &unix.SockaddrInet6{Addr: to.As16(), Port: 9})
	return "", nil
}

// link is the box's own card and what a frame needs to know.
type link struct {
	index  int
	mac    net.HardwareAddr
	own4   netip.Addr
	other  net.HardwareAddr // another card, to be forged
	forge4 netip.Addr
	to4    netip.Addr
	hostsM net.HardwareAddr // the bridge's
	next   net.HardwareAddr // the neighbour's
}

// frame sends one, with the name of the probe in it.
func frame(name string, build func(link, []byte) []byte) func(World) (string, error) {
	return func(w World) (string, error) {
		l, err := look(w)
		if err != nil {
			return "", err
		}
		s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return "", nil // no frames for us
		}
		defer func() { _ = unix.Close(s) }()
		if err := unix.Sendto(s, build(l, Mark(name)), 0, &unix.SockaddrLinklayer{Ifindex: l.index, Halen: 6}); err != nil {
			return "", fmt.Errorf("send frame: %w", err)
		}
		return "", nil
	}
}

func look(w World) (link, error) {
	eth, err := net.InterfaceByName("eth0")
	if err != nil {
		return link{}, err
	}
	l := link{index: eth.Index, mac: eth.HardwareAddr, other: append(net.HardwareAddr{}, eth.HardwareAddr...)}
	l.other[5] ^= 0x3f
	if l.next, err = net.ParseMAC(w.NeighbourMAC); err != nil {
		return l, err
	}
	if l.forge4, err = netip.ParseAddr(w.Forge4); err != nil {
		return l, err
	}
	if l.to4, err = netip.ParseAddr(w.Gateway4); err != nil {
		return l, err
	}
	addrs, err := eth.Addrs()
	if err != nil {
		return l, err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			l.own4 = p.Addr()
		}
	}
	l.hostsM = neighbourMAC(l.to4)
	return l, nil
}

// neighbourMAC is the gateway's card, by the kernel's table; everybody's if it does not say.
func neighbourMAC(a netip.Addr) net.HardwareAddr {
	for _, line := range lines("/proc/net/arp") {
		if f := strings.Fields(line); len(f) > 3 && f[0] == a.String() {
			if m, err := net.ParseMAC(f[3]); err == nil {
				return m
			}
		}
	}
	return net.HardwareAddr{255, 255, 255, 255, 255, 255}
}

func ethernet(to, from net.HardwareAddr, kind uint16, body []byte) []byte {
	f := append(append(append([]byte{}, to...), from...), byte(kind>>8), byte(kind))
	return append(f, body...)
}

func toNeighbour(l link, mark []byte) []byte {
	return ethernet(l.next, l.mac, 0x0800, udp4(l.own4, l.forge4, mark))
}

func forgedIPv4(l link, mark []byte) []byte {
	return ethernet(l.hostsM, l.mac, 0x0800, udp4(l.forge4, l.to4, mark))
}

func forgedMAC(l link, mark []byte) []byte {
	return ethernet(l.hostsM, l.other, 0x0800, udp4(l.own4, l.to4, mark))
}

func forgedARP(l link, mark []byte) []byte {
	from, to := l.forge4.As4(), l.to4.As4()
	b := []byte{0, 1, 8, 0, 6, 4, 0, 2}
	b = append(append(b, l.mac...), from[:]...)
	b = append(append(b, l.hostsM...), to[:]...)
	return ethernet(l.hostsM, l.mac, 0x0806, append(b, mark...))
}

func forgedRouter(l link, mark []byte) []byte {
	from, to := netip.MustParseAddr("fe80::1").As16(), netip.MustParseAddr("ff02::1").As16()
	advert := make([]byte, 16) // ICMPv6 type 134; the mark is an option nobody knows
	advert[0], advert[4] = 134, 64
	option := make([]byte, (len(mark)+2+7)&^7)
	option[0], option[1] = 253, byte(len(option)/8)
	copy(option[2:], mark)
	advert = append(advert, option...)
	ip := append([]byte{0x60, 0, 0, 0, 0, byte(len(advert)), 58, 255}, append(from[:], to[:]...)...)
	pseudo := append(append(append([]byte{}, ip[8:40]...), 0, 0, 0, byte(len(advert)), 0, 0, 0, 58), advert...)
	binary.BigEndian.PutUint16(advert[2:], sum(pseudo))
	return ethernet(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, l.mac, 0x86dd, append(ip, advert...))
}

func udp4(from, to netip.Addr, payload []byte) []byte {
	f, t := from.As4(), to.As4()
	udp := []byte{0, 9, 0, 9, 0, byte(8 + len(payload)), 0, 0}
	ip := []byte{0x45, 0, 0, byte(28 + len(payload)), 0, 0, 0, 0, 64, 17, 0, 0}
	ip = append(append(ip, f[:]...), t[:]...)
	binary.BigEndian.PutUint16(ip[10:], sum(ip))
	return append(append(ip, udp...), payload...)
}

// sum is the Internet's checksum.
func sum(b []byte) uint16 {
	var n uint32
	for i := 0; i < len(b); i += 2 {
		n += uint32(b[i]) << 8
		if i+1 < len(b) {
			n += uint32(b[i+1])
		}
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return ^uint16(n)
}
