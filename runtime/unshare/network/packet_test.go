package network

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// syn is the first packet of a TCP connection, with right checksums: what conntrack finds invalid proves nothing.
func syn(src, dst netip.Addr, sport, dport uint16) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint32(b[4:], uint32(sport)<<16|uint32(dport))
	b[12], b[13] = 5<<4, 2
	binary.BigEndian.PutUint16(b[14:], 65535)
	return packet(src, dst, unix.IPPROTO_TCP, b, 16)
}

func datagram(src, dst netip.Addr, sport, dport uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = append(binary.BigEndian.AppendUint16(b, 8+uint16(len(marker))), 0, 0)
	return packet(src, dst, unix.IPPROTO_UDP, append(b, marker...), 6)
}

func echo(src, dst netip.Addr, n uint16) []byte {
	b := []byte{8, 0, 0, 0, byte(n >> 8), byte(n), 0, 1}
	if src.Is4() {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
		return packet(src, dst, unix.IPPROTO_ICMP, b, -1)
	}
	b[0] = 128
	return packet(src, dst, unix.IPPROTO_ICMPV6, b, 2)
}

// packet puts an IP header before a body and the body's checksum at its place; -1 for none.
func packet(src, dst netip.Addr, proto byte, body []byte, sum int) []byte {
	if sum >= 0 {
		pseudo := append(append([]byte{}, src.AsSlice()...), dst.AsSlice()...)
		pseudo = append(pseudo, 0, proto, byte(len(body)>>8), byte(len(body)))
		if len(body)%2 == 1 {
			pseudo = append(append(pseudo, body...), 0)
		} else {
			pseudo = append(pseudo, body...)
		}
		binary.BigEndian.PutUint16(body[sum:], checksum(pseudo))
	}
	if !src.Is4() {
		return ip6(src, dst, proto, body)
	}
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(body)))
	s, d := src.As4(), dst.As4()
	copy(h[12:], s[:])
	copy(h[16:], d[:])
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, body...)
}

// to puts a packet into a frame.
func to(dst, src net.HardwareAddr, p []byte) []byte {
	kind := uint16(unix.ETH_P_IP)
	if p[0]>>4 == 6 {
		kind = unix.ETH_P_IPV6
	}
	return frame{dst, src, kind, p}.bytes()
}

// stranger is what an attacker has to make frames of.
type stranger struct {
	own     Addr
	gateway net.HardwareAddr
}

func (s stranger) source(dst netip.Addr) netip.Addr {
	if dst.Is4() {
		return s.own.V4
	}
	return s.own.V6
}

// every is a packet to each port from one to last.
func (s stranger) every(dst netip.Addr, mac net.HardwareAddr, last int, make func(src, dst netip.Addr, sport, dport uint16) []byte) [][]byte {
	var all [][]byte
	for port := 1; port <= last; port++ {
		all = append(all, to(mac, s.own.MAC, make(s.source(dst), dst, uint16(20000+port%40000), uint16(port))))
	}
	return all
}

// counter counts what passes a hook of a namespace and matches, after all rules of ours. The table counts nothing else.
func counter(t testing.TB, ns *os.File, hook, match string) func() int {
	t.Helper()
	name := "probe" + strconv.FormatInt(lasts.Add(1), 10)
	list := func() string {
		var out string
		if err := in(t, ns, func() error { out = output(t, "nft", "list", "table", "inet", name); return nil }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	text := fmt.Sprintf(`nft 'table inet %s { chain c { type filter hook %s priority 200; %s counter; }; }'`, name, hook, match)
	if err := in(t, ns, func() error { return sh(text) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in(t, ns, func() error { return sh("nft delete table inet " + name) }) })
	return func() int {
		m := regexp.MustCompile(`counter packets (\d+)`).FindStringSubmatch(list())
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// received is how many frames have come in by eth0 of a namespace.
func received(t testing.TB, ns *os.File) int {
	t.Helper()
	n := -1
	err := in(t, ns, func() error {
		b, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); f[0] == inside+":" {
				n, err = strconv.Atoi(f[2])
			}
		}
		return err
	})
	if err != nil || n < 0 {
		t.Fatal(n, err)
	}
	return n
}
