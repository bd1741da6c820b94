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
	for name, dst := range map[string]string{
		"its link-local address": "fe80::ff:fe00:4", "all nodes": "ff02::1", "all hosts": "224.0.0.1",
		"everybody": "255.255.255.255", "the block's last address": "10.64.3.255",
	} {
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
	without(t, n, `oifname "sweep_*" counter reject`, "closed4", "closed6", "ether saddr limit rate", "one resolver", "tcp dport")
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

// S30: a site that is root of its own network namespace and has every capability there, which ours have not, gains
// nothing by changing its end of the link: what it then sends does not arrive, and it harms only itself.
func TestS30WhatASiteDoesToItsLinkHarmsNobody(t *testing.T) {
	w := world(t)
	acquaint(t, w)
	n := open(t, "inside", segments(t))
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	b, other := site(t, n, "bbbbbbbbbb", "student", 4)
	web := greet(t, b, "[::]:0")
	hostPort := greet(t, hostNS(t), "[::]:0")
	theft := counter(t, w, "prerouting", "tcp dport 7777")
	for name, c := range map[string]struct{ do, undo string }{
		"takes its neighbour's addresses": {"ip addr add " + other.V4.String() + "/32 dev eth0; ip addr add " + other.V6.String() + "/128 dev eth0 nodad", ""},
		"takes its neighbour's MAC":       {"ip link set eth0 address " + other.MAC.String(), "ip link set eth0 address " + own.MAC.String()},
		"takes the gateway's address":     {"ip addr add 10.64.0.1/22 dev eth0", "ip addr del 10.64.0.1/22 dev eth0"},
		"routes to its segment directly":  {"ip route replace 10.64.0.0/14 dev eth0; ip -6 route replace " + n.segments[0].V6.String() + " dev eth0", ""},
		"goes down and up":                {"ip link set eth0 down; ip link set eth0 up; ip route replace default via 10.64.0.1 dev eth0 onlink", ""},
		"changes its MTU":                 {"ip link set eth0 mtu 9000", "ip link set eth0 mtu 1500"},
		"renames its link":                {"ip link set eth0 down; ip link set eth0 name eth9; ip link set eth9 up", "ip link set eth9 down; ip link set eth9 name eth0; ip link set eth0 up; ip route replace default via 10.64.0.1 dev eth0 onlink"},
		"makes a bridge of it":            {"ip link add br9 type bridge; ip link set eth0 master br9; ip link set br9 up", "ip link del br9"},
		"turns to routing":                {"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", ""},
	} {
		if err := in(t, a, func() error { return sh(c.do) }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		was := theft()
		for _, forged := range []Addr{other, {V4: netip.MustParseAddr("10.64.0.1"), MAC: own.MAC}} {
			for _, mac := range []net.HardwareAddr{own.MAC, forged.MAC} {
				f := to(gatewayMAC("inside"), mac, syn(forged.V4, netip.MustParseAddr("203.0.113.2"), 4000, 7777))
				link := inside
				if name == "renames its link" {
					link = "eth9"
				}
				send(t, a, link, f)
			}
		}
		for _, dst := range []string{at(other.V4, web), at(other.V6, web), at("10.64.0.1", hostPort), at("203.0.113.1", hostPort)} {
			if dst == at("10.64.0.1", hostPort) && name == "takes the gateway's address" {
				continue // its own by then
			}
			if (dst == at(other.V4, web) || dst == at(other.V6, web)) && name == "takes its neighbour's addresses" {
				continue
			}
			if !closed(t, a, dst) {
				t.Errorf("%s: reaches %s", name, dst)
			}
		}
		if got := theft() - was; got != 0 {
			t.Errorf("%s: %d forged packets left", name, got)
		}
		for _, ip := range []netip.Addr{other.V4, other.V6} {
			if _, err := ask(t, hostNS(t), at(ip, web)); err != nil {
				t.Errorf("%s: the neighbour is gone for the host: %v", name, err)
			}
		}
		if c.undo != "" {
			if err := in(t, a, func() error { return sh(c.undo) }); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	without(t, n, "goto from_port")
	was := theft()
	send(t, a, inside, to(gatewayMAC("inside"), own.MAC, syn(other.V4, netip.MustParseAddr("203.0.113.2"), 4001, 7777)))
	if got := theft() - was; got != 1 {
		t.Errorf("without the rule %d forged packets leave: the test proves nothing", got)
	}
}
