package network

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestTwoInstancesDoNotMeet(t *testing.T) {
	w := world(t)
	one := open(t, "one", segments(t))
	other, err := DefaultSegments(netip.MustParsePrefix("10.68.0.0/18"))
	if err != nil {
		t.Fatal(err)
	}
	two := open(t, "two", other)
	a, aAddr := site(t, one, "aaaaaaaaaa", "student", 3)
	b, bAddr := site(t, two, "bbbbbbbbbb", "student", 3)
	port := greet(t, a, ":0")
	greet(t, b, at("::", port))
	greet(t, w, at("::", 80))
	for name, c := range map[string]struct {
		from *os.File
		to   netip.Addr
	}{"one to two": {a, bAddr.V4}, "one to two over IPv6": {a, bAddr.V6}, "two to one": {b, aAddr.V4}} {
		if !closed(t, c.from, at(c.to, port)) {
			t.Fatal(name)
		}
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{at("203.0.113.2", 80), at("2001:db8::2", 80)} {
		if _, err := ask(t, b, to); err != nil {
			t.Fatal("the second lost its network with the first:", err)
		}
	}
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	if v, _ := getSysctl("ipv4/ip_forward"); v != "0" {
		t.Fatal("the last one did not restore forwarding")
	}
}

func TestTheHostRoutesForNobodyElse(t *testing.T) {
	fromWorld := world(t)
	n := open(t, "router", segments(t))
	side := newNS(t)
	run(t, fmt.Sprintf(`ip link add side0 type veth peer name eth0 netns /proc/%d/fd/%d
		ip addr add 203.0.113.129/25 dev side0; ip link set side0 up`, os.Getpid(), side.Fd()))
	t.Cleanup(func() { exec.Command("ip", "link", "del", "side0").Run() })
	err := in(t, side, func() error {
		return sh("ip addr add 203.0.113.130/25 dev eth0; ip link set eth0 up; ip route add default via 203.0.113.129")
	})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t, side, "203.0.113.130:0")
	if err := in(t, fromWorld, func() error { return sh("ip route add 203.0.113.130/32 via 203.0.113.1") }); err != nil {
		t.Fatal(err)
	}
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			c.Close()
		}
	}()
	if !closed(t, fromWorld, l.Addr().String()) {
		t.Fatal("Open made the host a router between its own interfaces")
	}
	without(t, n, "no router before us")
	if _, err := ask(t, fromWorld, l.Addr().String()); err != nil {
		t.Fatal("not even without the rule:", err)
	}
}

func TestUplinkIsTheOnlyWayOut(t *testing.T) {
	w := world(t)
	greet(t, w, at("::", 80))
	s := segments(t)
	s[1].Uplink = "up1"
	n := open(t, "uplink", s)
	a, _ := site(t, n, "aaaaaaaaaa", "student", 3)
	b, _ := site(t, n, "bbbbbbbbbb", "teacher", 4)
	if _, err := ask(t, a, at("203.0.113.2", 80)); err != nil {
		t.Fatal("a segment without uplink:", err)
	}
	if !closed(t, b, at("203.0.113.2", 80)) {
		t.Fatal("left by another interface than its uplink")
	}
	run(t, fmt.Sprintf(`ip link add up1 type veth peer name eth1 netns /proc/%d/fd/%d
		ip addr add 198.51.100.1/24 dev up1; ip link set up1 up`, os.Getpid(), w.Fd()))
	t.Cleanup(func() { exec.Command("ip", "link", "del", "up1").Run() })
	if err := in(t, w, func() error { return sh("ip addr add 198.51.100.2/24 dev eth1; ip link set eth1 up") }); err != nil {
		t.Fatal(err)
	}
	if seen, err := ask(t, b, at("198.51.100.2", 80)); err != nil || !strings.HasSuffix(seen, "198.51.100.1") {
		t.Fatal("by its uplink:", seen, err)
	}
}

func TestAHostWithoutIPv6(t *testing.T) {
	run(t, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	t.Cleanup(func() { run(t, "sysctl -qw net.ipv6.conf.all.disable_ipv6=0") })
	n := open(t, "four", segments(t))
	a, addr := site(t, n, "aaaaaaaaaa", "student", 3)
	if _, err := ask(t, hostNS(t), at(addr.V4, greet(t, a, ":0"))); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheNamedResolverIsAsked(t *testing.T) {
	w := world(t)
	greet(t, w, at("::", 53))
	greet(t, w, at("::", 80))
	n, err := Open(Config{Instance: "dns", Segments: segments(t), DNS: []netip.Addr{
		netip.MustParseAddr("10.9.9.9"),
		netip.MustParseAddr("fd00:ec2::254"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	a, _ := site(t, n, "aaaaaaaaaa", "student", 3)
	for to, open := range map[string]bool{
		at("10.9.9.9", 53): true, at("fd00:ec2::254", 53): true,
		at("10.9.9.9", 80): false, at("169.254.169.254", 53): false,
	} {
		if !open {
			if !closed(t, a, to) {
				t.Errorf("%s is open", to)
			}
		} else if _, err := ask(t, a, to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestReloadPutsFlushedRulesBack(t *testing.T) {
	n := open(t, "washed", segments(t))
	a, _ := site(t, n, "aaaaaaaaaa", "student", 1003)
	port := greet(t, hostNS(t), ":0")
	was := rules(t)
	run(t, "nft flush ruleset")
	if _, err := ask(t, a, at("10.64.4.1", port)); err != nil {
		t.Fatal("nothing was flushed: ", err)
	}
	if err := n.Reload(); err != nil {
		t.Fatal(err)
	}
	if !closed(t, a, at("10.64.4.1", port)) {
		t.Fatal("the host is open")
	}
	is := rules(t)
	for _, lost := range missing(was, is) {
		t.Error("lost: ", lost)
	}
	for _, added := range missing(is, was) {
		t.Error("added: ", added)
	}
}

// rules are the lines of the whole ruleset, sorted. The kernel lists a set whose table of hashes is being resized in
// any order, and some of its elements twice.
func rules(t *testing.T) []string {
	t.Helper()
	lines := strings.FieldsFunc(output(t, "nft", "-s", "list", "ruleset"), func(r rune) bool {
		return strings.ContainsRune("\n{},", r)
	})
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// missing is what of a is not in b, both sorted.
func missing(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(line string) bool {
		_, there := slices.BinarySearch(b, line)
		return there
	})
}
