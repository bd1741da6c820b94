package network

import (
	"net"
	"net/netip"
	"testing"
)

const ports = 65535

// S25: nothing of what a site can send arrives at another one: counted at the other's own card.
func TestS25NothingReachesTheNeighbour(t *testing.T) {
	for _, bridged := range []string{"0", "1"} {
		t.Run("bridged filter "+bridged, func(t *testing.T) { neighbourSweep(t, bridged) })
	}
}

func neighbourSweep(t *testing.T, bridged string) {
	bridgedFilter(t, bridged)
	n := open(t, "sweep", segments(t))
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	b, other := site(t, n, "bbbbbbbbbb", "student", 4)
	c, far := site(t, n, "cccccccccc", "teacher", 4)
	s := stranger{own, gatewayMAC("sweep")}
	attacks := map[string][][]byte{
		"TCP over IPv4":            s.every(other.V4, s.gateway, ports, syn),
		"TCP over IPv6":            s.every(other.V6, s.gateway, ports, syn),
		"UDP over IPv4":            s.every(other.V4, s.gateway, 1000, datagram),
		"UDP over IPv6":            s.every(other.V6, s.gateway, 1000, datagram),
		"TCP to its MAC over IPv4": s.every(other.V4, other.MAC, ports, syn),
		"TCP to its MAC over IPv6": s.every(other.V6, other.MAC, ports, syn),
		"another segment, IPv4":    s.every(far.V4, s.gateway, 1000, syn),
		"another segment, IPv6":    s.every(far.V6, s.gateway, 1000, syn),
		"pings":                    {to(s.gateway, own.MAC, echo(own.V4, other.V4, 1)), to(s.gateway, own.MAC, echo(own.V6, other.V6, 1))},
	}
	for name, dst := range map[string]string{"its link-local address": "fe80::ff:fe00:4", "all nodes": "ff02::1", "all hosts": "224.0.0.1",
		"everybody": "255.255.255.255", "the block's last address": "10.64.3.255"} {
		ip := netip.MustParseAddr(dst)
		for _, mac := range []net.HardwareAddr{s.gateway, other.MAC, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x33, 0x33, 0, 0, 0, 1}, {1, 0, 0x5e, 0, 0, 1}} {
			attacks[name] = append(attacks[name], s.every(ip, mac, 100, datagram)...)
			attacks[name] = append(attacks[name], s.every(ip, mac, 100, syn)...)
		}
	}
	for name, frames := range attacks {
		near, beyond := received(t, b), received(t, c)
		send(t, a, inside, frames...)
		if got := received(t, b) - near + received(t, c) - beyond; got != 0 {
			t.Errorf("%s: %d of %d frames arrived", name, got, len(frames))
		}
	}
	without(t, n, `oifname "sweep_*" counter reject`, "@closed4", "@closed6", "ether saddr limit rate", "one resolver", "tcp dport")
	for _, name := range []string{"TCP over IPv4", "TCP over IPv6"} {
		was := received(t, b)
		send(t, a, inside, attacks[name][:200]...)
		if got := received(t, b) - was; got < 200 { // and what the other kernel answers to an answer
			t.Errorf("%s: without the rules %d of 200 arrive: the test proves nothing", name, got)
		}
	}
}

// S26: of all the host's addresses and ports a site reaches one: the resolver, under its gateway's address.
func TestS26OnlyTheResolverOfTheHostAnswers(t *testing.T) {
	world(t)
	run(t, "ip addr add 10.7.7.7/32 dev up0; ip addr add fd77::7/128 dev up0 nodad")
	n := openConfig(t, Config{Instance: "host", Segments: segments(t), DNS: []netip.Addr{netip.MustParseAddr("10.7.7.7")}})
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	s := stranger{own, gatewayMAC("host")}
	if own.Resolver.String() != "10.64.0.1" {
		t.Fatal("it asks", own.Resolver)
	}
	questions := counter(t, hostNS(t), "input", `iifname "host_*" ip daddr 10.7.7.7 th dport 53`)
	all := counter(t, hostNS(t), "input", `iifname "host_*"`)
	addresses := []string{"10.64.0.1", "10.64.0.2", "10.80.0.1", "203.0.113.1", "10.7.7.7", "127.0.0.1", "2001:db8::1", "fd77::7", "::1"}
	for _, g := range n.segments {
		addresses = append(addresses, g.V6.Addr().Next().String())
	}
	for _, dst := range addresses {
		ip, was := netip.MustParseAddr(dst), all()
		send(t, a, inside, s.every(ip, s.gateway, ports, syn)...)
		send(t, a, inside, s.every(ip, s.gateway, 1000, datagram)...)
		want := 0
		if ip == own.Resolver {
			want = 2 // one by TCP, one by UDP
		}
		if got := all() - was; got != want {
			t.Errorf("%s: %d packets were let in, want %d", dst, got, want)
		}
	}
	if got := questions(); got != 2 {
		t.Errorf("%d questions reached the resolver, want 2", got)
	}
	without(t, n, "goto to_host")
	was := all()
	send(t, a, inside, s.every(netip.MustParseAddr("203.0.113.1"), s.gateway, 100, syn)...)
	if got := all() - was; got != 100 {
		t.Errorf("without the rule %d of 100 are let in: the test proves nothing", got)
	}
}
