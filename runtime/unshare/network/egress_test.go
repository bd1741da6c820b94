package network

import (
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// S27: what each role reaches is what its policy says, address by address, and changes with it.
func TestS27EachRoleReachesWhatItsPolicySays(t *testing.T) {
	w := world(t)
	if err := in(t, w, func() error {
		return sh(`for a in 198.51.100.7 10.1.2.3 172.16.0.9 192.168.1.1 100.64.0.1 198.18.0.1; do ip addr add $a/32 dev eth0; done
			ip addr add 2001:db8:5::7/128 dev eth0 nodad; ip addr add fd00::9/128 dev eth0 nodad`)
	}); err != nil {
		t.Fatal(err)
	}
	greet(t, w, at("::", 80))
	greet(t, w, at("::", 3128))
	greet(t, w, at("::", 53))
	greet(t, w, at("::", 853))
	proxy := []netip.AddrPort{netip.MustParseAddrPort("10.1.2.3:3128"), netip.MustParseAddrPort("[fd00::9]:3128")}
	n := openConfig(t, Config{
		Instance: "roles", Segments: segments(t), DNS: []netip.Addr{netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("fd00:ec2::254")},
		Policies: map[string]Policy{
			"student": {Closed: []netip.Prefix{prefix("198.51.100.0/24"), prefix("2001:db8:5::/48")}, Open: proxy},
			"teacher": {Open: proxy, Inside: true},
		},
	})
	student, _ := site(t, n, "aaaaaaaaaa", "student", 3)
	teacher, _ := site(t, n, "bbbbbbbbbb", "teacher", 3)
	association, _ := site(t, n, "cccccccccc", "association", 3)
	cases := []struct {
		to                            string
		student, teacher, association bool
	}{
		{"203.0.113.2:80", true, false, true},
		{"[2001:db8::2]:80", true, false, true},
		{"198.51.100.7:80", false, false, true}, // the school's, public
		{"[2001:db8:5::7]:80", false, false, true},
		{"10.1.2.3:3128", true, true, false}, // the school's proxy
		{"[fd00::9]:3128", true, true, false},
		{"10.1.2.3:80", false, false, false}, // another service of the same machine
		{"10.9.9.9:53", true, true, true},    // the resolver
		{"10.9.9.9:80", false, false, false},
		{"203.0.113.2:53", false, false, false}, // another one
		{"203.0.113.2:853", false, false, false},
		{"[2001:db8::2]:53", false, false, false},
		{"172.16.0.9:80", false, false, false},
		{"192.168.1.1:80", false, false, false},
		{"100.64.0.1:80", false, false, false},
		{"198.18.0.1:80", false, false, false},
		{"169.254.169.254:80", false, false, false},
		{"[fd00:ec2::254]:80", false, false, false},
		{"203.0.113.1:80", false, false, false}, // the public address of this host, where the sites are
	}
	for _, c := range cases {
		for name, who := range map[string]struct {
			ns   *os.File
			open bool
		}{"student": {student, c.student}, "teacher": {teacher, c.teacher}, "association": {association, c.association}} {
			if who.open {
				if _, err := ask(t, who.ns, c.to); err != nil {
					t.Errorf("a %s does not reach %s: %v", name, c.to, err)
				}
			} else if !closed(t, who.ns, c.to) {
				t.Errorf("a %s reaches %s", name, c.to)
			}
		}
	}
	for _, gateway := range []string{"10.64.0.1:53", at(n.segments[0].V6.Addr().Next(), 53)} {
		if _, err := ask(t, student, gateway); err != nil {
			t.Errorf("the resolver by %s: %v", gateway, err)
		}
	}
	without(t, n, "198.51.100.0/24", "2001:db8:5::/48", "only by the proxy", "one resolver")
	for to, who := range map[string]*os.File{"198.51.100.7:80": student, "[2001:db8:5::7]:80": student, "203.0.113.2:853": association, "203.0.113.2:53": association} {
		if _, err := ask(t, who, to); err != nil {
			t.Errorf("%s not even without its rule: %v", to, err)
		}
	}
}

// acquaint lets host and world find each other's MAC: packets that wait for that come late.
func acquaint(t *testing.T, w *os.File) {
	t.Helper()
	port := greet(t, w, "[::]:0")
	for _, ip := range []string{"203.0.113.2", "2001:db8::2"} {
		if _, err := ask(t, hostNS(t), at(ip, port)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestS29MailIsClosed(t *testing.T) {
	w := world(t)
	acquaint(t, w)
	n := open(t, "mail", segments(t))
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	s := stranger{own, gatewayMAC("mail")}
	left := counter(t, w, "prerouting", "tcp dport { 25, 465, 587 }")
	letters := func() [][]byte {
		var all [][]byte
		for _, dst := range []string{"203.0.113.2", "2001:db8::2"} {
			for _, port := range []uint16{25, 465, 587} {
				ip := netip.MustParseAddr(dst)
				all = append(all, to(s.gateway, own.MAC, syn(s.source(ip), ip, uint16(lasts.Add(1)+30000), port)))
			}
		}
		return all
	}
	send(t, a, inside, letters()...)
	if got := left(); got != 0 {
		t.Errorf("%d packets to mail ports left", got)
	}
	without(t, n, "tcp dport { 25")
	send(t, a, inside, letters()...)
	if got := left(); got != 6 {
		t.Errorf("without the rule %d of 6 leave: the test proves nothing", got)
	}
}

// S29: a site that opens 1,000 connections at once gets its burst, both families together; its neighbour notices
// nothing, and its own come through again once it has calmed down.
func TestS29NewConnectionsAreRationed(t *testing.T) {
	w := world(t)
	acquaint(t, w)
	greet(t, w, at("::", 80))
	n := openConfig(t, Config{Instance: "ration", Segments: segments(t), Policies: map[string]Policy{"student": {Rate: 20, Burst: 40}}})
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	b, _ := site(t, n, "bbbbbbbbbb", "student", 4)
	s := stranger{own, gatewayMAC("ration")}
	left := counter(t, w, "prerouting", "tcp dport 1001-1500")
	storm := func() (passed int, took time.Duration) {
		was, began := left(), time.Now()
		send(t, a, inside, s.every(netip.MustParseAddr("203.0.113.2"), s.gateway, 1500, syn)[1000:]...)
		send(t, a, inside, s.every(netip.MustParseAddr("2001:db8::2"), s.gateway, 1500, syn)[1000:]...)
		took = time.Since(began)
		return left() - was, took
	}
	passed, took := storm()
	if most := 42 + int(20*took.Seconds()); passed > most || passed < 40 {
		t.Errorf("%d of 1,000 left in %v, want 40 to %d", passed, took, most)
	}
	if _, err := ask(t, b, "203.0.113.2:80"); err != nil {
		t.Error("the neighbour:", err)
	}
	if _, err := ask(t, a, "203.0.113.2:80"); err != nil { // its first packet is dropped, and sent again
		t.Error("never again:", err)
	}
	without(t, n, "ether saddr limit rate over 20/second")
	if passed, _ := storm(); passed != 1000 {
		t.Errorf("without the rule %d of 1,000 leave: the test proves nothing", passed)
	}
}

// S22: a site holds no more connections than its policy says, and gets new ones when it lets go.
func TestS22ConnectionsAreCounted(t *testing.T) {
	w := world(t)
	hold(t, w, "[::]:80")
	n := openConfig(t, Config{Instance: "count", Segments: segments(t), Policies: map[string]Policy{"student": {Rate: 1000, Connections: 30}}})
	a, _ := site(t, n, "aaaaaaaaaa", "student", 3)
	b, _ := site(t, n, "bbbbbbbbbb", "student", 4)
	var held []net.Conn
	grab := func(ns *os.File, want int) int {
		mine := 0
		_ = in(t, ns, func() error {
			for i := range want {
				c, err := net.DialTimeout("tcp", []string{"203.0.113.2:80", "[2001:db8::2]:80"}[i%2], 5*time.Second)
				if err != nil {
					return nil
				}
				held = append(held, c)
				mine++
			}
			return nil
		})
		return mine
	}
	if got := grab(a, 60); got != 30 {
		t.Errorf("a site holds %d connections, want 30", got)
	}
	if got := grab(b, 10); got != 10 {
		t.Errorf("its neighbour holds %d, want 10", got)
	}
	for _, c := range held[:30] {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	again := 0 // the kernel strikes ended ones off the list a few at a time
	for deadline := time.Now().Add(time.Minute); again < 20 && time.Now().Before(deadline); {
		again += grab(a, 20-again)
	}
	if again != 20 {
		t.Errorf("after it let go it gets %d, want 20", again)
	}
	without(t, n, "ct count over 30")
	if got := grab(a, 60); got != 60 {
		t.Errorf("without the rule it gets %d of 60: the test proves nothing", got)
	}
	for _, c := range held {
		_ = c.Close()
	}
}

// hold accepts and says nothing.
func hold(t *testing.T, ns *os.File, addr string) {
	l := listen(t, ns, addr)
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() }()
		}
	}()
}

// S29: one flow of datagrams makes no new connections, so packets are counted too; ICMP as well, and questions to the resolver.
func TestS29DatagramsAreRationed(t *testing.T) {
	w := world(t)
	acquaint(t, w)
	n := openConfig(t, Config{
		Instance: "spray", Segments: segments(t), DNS: []netip.Addr{netip.MustParseAddr("10.9.9.9")},
		Policies: map[string]Policy{"student": {Packets: 300, Rate: 10_000, Burst: 40_000}},
	})
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	s := stranger{own, gatewayMAC("spray")}
	out := netip.MustParseAddr("203.0.113.2")
	for name, c := range map[string]struct {
		packet []byte
		match  string
		rule   string
		limit  int
	}{
		"UDP":       {datagram(own.V4, out, 5000, 9), "udp dport 9", "limit rate over 300/second", 300},
		"ICMP":      {echo(own.V4, out, 7), "icmp type echo-request", "limit rate over 300/second", 300},
		"questions": {datagram(own.V4, own.Resolver, 5000, 53), "udp dport 53", "limit rate over 200/second", 200},
	} {
		t.Run(name, func(t *testing.T) {
			if err := n.Reload(); err != nil { // budgets are fresh
				t.Fatal(err)
			}
			left := counter(t, w, "prerouting", c.match)
			frames := slices.Repeat([][]byte{to(s.gateway, own.MAC, c.packet)}, 5000)
			began := time.Now()
			send(t, a, inside, frames...)
			most := c.limit + 2 + int(float64(c.limit)*time.Since(began).Seconds())
			passed := left()
			if passed < c.limit || passed > most {
				t.Errorf("%d of 5,000 left, want %d to %d", passed, c.limit, most)
			}
			words := []string{c.rule}
			if !strings.Contains(c.rule, "300") { // the others' budget is in the way too
				words = append(words, "limit rate over 300/second")
			}
			without(t, n, words...)
			send(t, a, inside, frames...)
			if got := left() - passed; got != 5000 {
				t.Errorf("without the rule %d of 5,000 leave: the test proves nothing", got)
			}
		})
	}
}

func TestAPolicyThatMakesNoSenseIsRefused(t *testing.T) {
	for name, p := range map[string]Policy{
		"a block with host bits":     {Closed: []netip.Prefix{prefix("192.0.2.1/24")}},
		"a port of the site itself":  {Open: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3128")}},
		"an address without a port":  {Open: []netip.AddrPort{netip.MustParseAddrPort("10.1.2.3:0")}},
		"a mapped address":           {Open: []netip.AddrPort{netip.MustParseAddrPort("[::ffff:10.1.2.3]:80")}},
		"an address with a zone":     {Open: []netip.AddrPort{netip.MustParseAddrPort("[fe80::1%eth0]:80")}},
		"less than nothing a second": {Rate: -1},
	} {
		if n, err := Open(Config{Instance: "bad", Segments: segments(t), Policies: map[string]Policy{"student": p}}); err == nil {
			_ = n.Close()
			t.Errorf("%s is taken", name)
		}
	}
	for _, dns := range []string{"127.0.0.53", "::1", "fe80::1", "224.0.0.251", "0.0.0.0"} {
		if n, err := Open(Config{Instance: "bad", Segments: segments(t), DNS: []netip.Addr{netip.MustParseAddr(dns)}}); err == nil {
			_ = n.Close()
			t.Errorf("the resolver %s is taken", dns)
		}
	}
	two := []netip.Addr{netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("10.9.9.10")}
	if n, err := Open(Config{Instance: "bad", Segments: segments(t), DNS: two}); err == nil {
		_ = n.Close()
		t.Error("two resolvers of one family are taken")
	}
}
