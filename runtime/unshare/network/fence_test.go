package network

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// frame is an Ethernet frame as an attacker with a raw socket writes it.
type frame struct {
	dst, src net.HardwareAddr
	kind     uint16
	body     []byte
}

func (f frame) bytes() []byte {
	b := append(append([]byte{}, f.dst...), f.src...)
	b = binary.BigEndian.AppendUint16(b, f.kind)
	return append(b, f.body...)
}

// tagged puts VLAN tags before a frame's type.
func (f frame) tagged(kinds ...uint16) frame {
	body := binary.BigEndian.AppendUint16(nil, f.kind)
	body = append(body, f.body...)
	for i := len(kinds) - 1; i >= 0; i-- {
		tag := []byte{0, 7}
		if i < len(kinds)-1 {
			tag = binary.BigEndian.AppendUint16(tag, kinds[i+1])
		}
		body = append(tag, body...)
	}
	return frame{f.dst, f.src, kinds[0], body}
}

const marker = "petitpont-test-frame-"

// last names a frame that ends one reading: never used twice, since an ICMP error may quote it again later.
func last() string { return fmt.Sprintf("last%d.", lasts.Add(1)) }

var lasts atomic.Int64

// udp4 is a datagram that carries the marker and a name.
func udp4(src, dst netip.Addr, sport, dport uint16, name string) []byte {
	u := udp(sport, dport, name)
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(u)))
	s, d := src.As4(), dst.As4()
	copy(h[12:], s[:])
	copy(h[16:], d[:])
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, u...)
}

func udp(sport, dport uint16, name string) []byte {
	u := binary.BigEndian.AppendUint16(nil, sport)
	u = binary.BigEndian.AppendUint16(u, dport)
	u = binary.BigEndian.AppendUint16(u, uint16(8+len(marker)+len(name)))
	return append(append(u, 0, 0), marker+name...)
}

func ip6(src, dst netip.Addr, next byte, body []byte) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, next, 255
	binary.BigEndian.PutUint16(h[4:], uint16(len(body)))
	s, d := src.As16(), dst.As16()
	copy(h[8:], s[:])
	copy(h[24:], d[:])
	return append(h, body...)
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func arp(op uint16, mac net.HardwareAddr, sender, target netip.Addr, name string) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, byte(op >> 8), byte(op)}
	s, d := sender.As4(), target.As4()
	b = append(append(b, mac...), s[:]...)
	b = append(append(b, make([]byte, 6)...), d[:]...)
	return append(b, marker+name...)
}

// sniff opens a raw socket on a link of ns; nil is the host.
func sniff(t *testing.T, ns *os.File, link string) int {
	t.Helper()
	var fd int
	err := in(t, ns, func() error {
		ifi, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func send(t *testing.T, ns *os.File, link string, frames ...[]byte) {
	t.Helper()
	err := in(t, ns, func() error {
		ifi, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// await reads marked frames until the one named last, and tells how often the one named name came before it.
func await(t *testing.T, fd int, name, last string) (seen int) {
	t.Helper()
	buf := make([]byte, 2048)
	for {
		k, err := unix.Read(fd, buf)
		if err != nil {
			t.Fatalf("waiting for frame %q: %v", last, err)
		}
		switch {
		case bytes.Contains(buf[:k], []byte(marker+name)):
			seen++
		case bytes.Contains(buf[:k], []byte(marker+last)):
			return seen
		}
	}
}

// TestFence (S28) sends forged frames from a site with a raw socket. None may arrive at the bridge or at another site;
// each arrives when its rule is taken out.
func TestFence(t *testing.T) {
	bridgedFilter(t, "0")
	n := open(t, "fence", segments(t))
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	b, other := site(t, n, "bbbbbbbbbb", "student", 4)
	gw4, gw6 := netip.MustParseAddr("10.64.0.1"), n.segments[0].V6.Addr().Next()
	gwMAC := gatewayMAC("fence")
	all, _ := net.ParseMAC("ff:ff:ff:ff:ff:ff")
	allNodes, _ := net.ParseMAC("33:33:00:00:00:01")
	stp, _ := net.ParseMAC("01:80:c2:00:00:00")
	strange, _ := net.ParseMAC("02:00:00:00:00:99")
	linkLocal, world6 := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::1")
	honest := func(name string) frame { return frame{gwMAC, own.MAC, unix.ETH_P_IP, udp4(own.V4, gw4, 5000, 9, name)} }

	tests := []struct {
		name  string
		frame frame
		at    string   // "" the bridge, "b" the other site
		rules []string // that stop it, for the counter-proof
	}{
		{"a foreign MAC", frame{gwMAC, strange, unix.ETH_P_IP, udp4(own.V4, gw4, 1, 9, "x")}, "", []string{`goto from_port`}},
		{"the neighbour's IPv4", frame{gwMAC, own.MAC, unix.ETH_P_IP, udp4(other.V4, gw4, 1, 9, "x")}, "", []string{`goto from_port`}},
		{"the neighbour's MAC and IPv4", frame{gwMAC, other.MAC, unix.ETH_P_IP, udp4(other.V4, gw4, 1, 9, "x")}, "", []string{`goto from_port`}},
		{"the neighbour's IPv6", frame{gwMAC, own.MAC, unix.ETH_P_IPV6, ip6(other.V6, gw6, 17, udp(1, 9, "x"))}, "", []string{`goto from_port`}},
		{"a link-local source", frame{gwMAC, own.MAC, unix.ETH_P_IPV6, ip6(linkLocal, gw6, 17, udp(1, 9, "x"))}, "", []string{`goto from_port`}},
		{"an ARP request", frame{all, own.MAC, unix.ETH_P_ARP, arp(1, own.MAC, own.V4, gw4, "x")}, "", []string{`goto from_port`, "ether daddr !="}},
		{"an ARP theft", frame{gwMAC, own.MAC, unix.ETH_P_ARP, arp(2, own.MAC, other.V4, gw4, "x")}, "", []string{`goto from_port`}},
		{"a VLAN tag", honest("x").tagged(unix.ETH_P_8021Q), "", []string{`goto from_port`}},
		{"two VLAN tags", honest("x").tagged(unix.ETH_P_8021AD, unix.ETH_P_8021Q), "", []string{`goto from_port`}},
		{"an unknown protocol", frame{gwMAC, own.MAC, 0x88b5, []byte(marker + "x")}, "", []string{`goto from_port`}},
		{
			"a broadcast",
			frame{all, own.MAC, unix.ETH_P_IP, udp4(own.V4, netip.MustParseAddr("255.255.255.255"), 1, 9, "x")},
			"",
			[]string{"ether daddr !="},
		},
		{"a frame for reserved addresses", frame{stp, own.MAC, unix.ETH_P_IP, udp4(own.V4, gw4, 1, 9, "x")}, "", []string{"ether daddr !="}},
		{"a DHCP answer", frame{gwMAC, own.MAC, unix.ETH_P_IP, udp4(own.V4, gw4, 67, 68, "x")}, "", []string{"udp sport 67"}},
		{"a DHCPv6 answer", frame{gwMAC, own.MAC, unix.ETH_P_IPV6, ip6(own.V6, gw6, 17, udp(547, 546, "x"))}, "", []string{"udp sport 547"}},
		{"a router advertisement", frame{allNodes, own.MAC, unix.ETH_P_IPV6, ip6(linkLocal, world6, 58, icmp6(134))}, "", []string{`goto from_port`, "ether daddr !="}},
		{"a router advertisement to the gateway", frame{gwMAC, own.MAC, unix.ETH_P_IPV6, ip6(own.V6, gw6, 58, icmp6(134))}, "", []string{"icmpv6 type"}},
		{"a neighbour advertisement", frame{gwMAC, own.MAC, unix.ETH_P_IPV6, ip6(own.V6, gw6, 58, icmp6(136))}, "", []string{"icmpv6 type"}},
		{"a redirect", frame{gwMAC, own.MAC, unix.ETH_P_IPV6, ip6(own.V6, gw6, 58, icmp6(137))}, "", []string{"icmpv6 type"}},
		{
			"a frame to its neighbour",
			frame{other.MAC, own.MAC, unix.ETH_P_IP, udp4(own.V4, other.V4, 1, 9, "x")},
			"b",
			[]string{"ether daddr !=", `iifname "fence-*" counter drop`, `oifname "fence-*" counter drop`, "isolated"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fd := sniff(t, hostNS(t), "fence_s0")
			far := fd
			if tt.at == "b" {
				far = sniff(t, b, inside)
			}
			attack := func() int {
				end := last()
				send(t, a, inside, tt.frame.bytes(), honest(end).bytes())
				seen := await(t, fd, "x", end)
				if far != fd {
					end = last()
					send(t, hostNS(t), "fence_s0", frame{other.MAC, gwMAC, unix.ETH_P_IP, udp4(gw4, other.V4, 1, 9, end)}.bytes())
					seen = await(t, far, "x", end)
				}
				return seen
			}
			if attack() != 0 {
				t.Fatal("it passes")
			}
			drop(t, n, tt.rules)
			if attack() == 0 {
				t.Fatalf("it does not even pass without %q: the test proves nothing", tt.rules)
			}
		})
	}
}

func icmp6(kind byte) []byte { return append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, marker+"x"...) }

// drop takes rules out; "isolated" is the flag of the bridge port.
func drop(t *testing.T, n *Network, rules []string) {
	t.Helper()
	var words []string
	for _, r := range rules {
		if r != "isolated" {
			words = append(words, r)
			continue
		}
		for _, p := range n.ports {
			run(t, fmt.Sprintf("bridge link set dev %s isolated off", p.link(n.instance)))
		}
	}
	without(t, n, words...)
}

// TestPortIsolationStandsAlone takes every rule of the bridge away: the flag of the port still holds.
func TestPortIsolationStandsAlone(t *testing.T) {
	bridgedFilter(t, "0")
	n := open(t, "iso", segments(t))
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	b, other := site(t, n, "bbbbbbbbbb", "student", 4)
	gw, gw4 := gatewayMAC("iso"), netip.MustParseAddr("10.64.0.1")
	without(t, n, "goto from_port", `-*" counter drop`, "ether daddr !=")
	far, near := sniff(t, b, inside), sniff(t, hostNS(t), "iso_s0")
	attack := func() int {
		end := last()
		send(t, a, inside, frame{other.MAC, own.MAC, unix.ETH_P_IP, udp4(own.V4, other.V4, 1, 9, "x")}.bytes(),
			frame{gw, own.MAC, unix.ETH_P_IP, udp4(own.V4, gw4, 1, 9, end)}.bytes())
		await(t, near, "x", end)
		end = last()
		send(t, hostNS(t), "iso_s0", frame{other.MAC, gw, unix.ETH_P_IP, udp4(gw4, other.V4, 1, 9, end)}.bytes())
		return await(t, far, "x", end)
	}
	if attack() != 0 {
		t.Fatal("a frame passed between isolated ports")
	}
	drop(t, n, []string{"isolated"})
	without(t, n, "goto from_port", `-*" counter drop`, "ether daddr !=")
	if attack() == 0 {
		t.Fatal("no frame passes without the flag either: the test proves nothing")
	}
}

// TestReloadLeavesNoWindow keeps forging while the rules are replaced again and again (S31).
func TestReloadLeavesNoWindow(t *testing.T) {
	bridgedFilter(t, "0")
	n := open(t, "window", segments(t))
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	gw, gw4 := gatewayMAC("window"), netip.MustParseAddr("10.64.0.1")
	fd := sniff(t, hostNS(t), "window_s0")
	forged := frame{gw, own.MAC, unix.ETH_P_IP, udp4(own.V4.Next(), gw4, 1, 9, "x")}.bytes()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10 {
			if err := n.Reload(); err != nil {
				t.Error(err)
			}
		}
	}()
	sent := 0
	for open := true; open; sent += 64 {
		select {
		case <-done:
			open = false
		default:
		}
		var burst [][]byte
		for range 64 {
			burst = append(burst, forged)
		}
		send(t, a, inside, burst...)
	}
	end := last()
	send(t, a, inside, frame{gw, own.MAC, unix.ETH_P_IP, udp4(own.V4, gw4, 1, 9, end)}.bytes())
	if seen := await(t, fd, "x", end); seen != 0 {
		t.Fatalf("%d of %d forged frames passed", seen, sent)
	}
}
