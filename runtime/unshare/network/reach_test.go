package network

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

func at(ip any, port int) string {
	s, ok := ip.(string)
	if !ok {
		s = ip.(netip.Addr).String()
	}
	return net.JoinHostPort(s, strconv.Itoa(port))
}

// TestReach opens real connections along every path that is allowed, and every one that is not. Each that is not is
// tried again with its rule taken out, and must then succeed.
func TestReach(t *testing.T) {
	bridgedFilter(t, "1")
	w := world(t)
	n := open(t, "reach", segments(t))
	a, aAddr := site(t, n, "aaaaaaaaaa", "student", 3)
	b, bAddr := site(t, n, "bbbbbbbbbb", "student", 4)
	c, cAddr := site(t, n, "cccccccccc", "teacher", 5)
	host := hostNS(t)
	web := greet(t, b, ":0")
	greet(t, a, at("::", web))
	greet(t, c, at("::", web))
	greet(t, w, at("::", 80))
	greet(t, w, at("::", 25))
	hostPort := greet(t, host, ":0")

	allowed := map[string]struct{ to, seen string }{
		"a site reaches the world by NAT over IPv4": {at("203.0.113.2", 80), "203.0.113.1"},
		"a site reaches the world by NAT over IPv6": {at("2001:db8::2", 80), "2001:db8::1"},
	}
	for name, c := range allowed {
		t.Run(name, func(t *testing.T) {
			seen, err := ask(t, a, c.to)
			if err != nil || strings.TrimPrefix(seen, "::ffff:") != c.seen {
				t.Fatalf("seen as %q, %v; want %s", seen, err, c.seen)
			}
		})
	}
	for _, s := range []Addr{aAddr, bAddr, cAddr} {
		for _, ip := range []netip.Addr{s.V4, s.V6} {
			t.Run("the host reaches a site/"+ip.String(), func(t *testing.T) {
				if _, err := ask(t, host, at(ip, web)); err != nil {
					t.Fatal(err)
				}
			})
		}
	}

	forbidden := []struct {
		name  string
		to    string
		rules []string
	}{
		{"a site reaches its neighbour over IPv4", at(bAddr.V4, web), []string{`oifname "reach_*" counter reject`, "closed4", "goto to_site"}},
		{"a site reaches its neighbour over IPv6", at(bAddr.V6, web), []string{`oifname "reach_*" counter reject`, "closed6", "goto to_site"}},
		{"a site reaches another segment over IPv4", at(cAddr.V4, web), []string{`oifname "reach_*" counter reject`, "closed4", "goto to_site"}},
		{"a site reaches another segment over IPv6", at(cAddr.V6, web), []string{`oifname "reach_*" counter reject`, "closed6", "goto to_site"}},
		{"a site reaches the host by its gateway", at("10.64.0.1", hostPort), []string{"goto to_host"}},
		{"a site reaches the host by its public address", at("203.0.113.1", hostPort), []string{"goto to_host"}},
		{"a site reaches the host over IPv6", at("2001:db8::1", hostPort), []string{"goto to_host"}},
		{"a site reaches the school's servers", at("10.9.9.9", 80), []string{"closed4"}},
		{"a site reaches the metadata service", at("169.254.169.254", 80), []string{"closed4"}},
		{"a site reaches the metadata service over IPv6", at("fd00:ec2::254", 80), []string{"closed6"}},
		{"a site sends mail", at("203.0.113.2", 25), []string{"tcp dport"}},
		{"a site sends mail over IPv6", at("2001:db8::2", 25), []string{"tcp dport"}},
	}
	for _, c := range forbidden {
		t.Run("never/"+c.name, func(t *testing.T) {
			if !closed(t, a, c.to) {
				t.Fatal("it does")
			}
			without(t, n, c.rules...)
			if _, err := ask(t, a, c.to); err != nil {
				t.Fatalf("not even without %q: %v", c.rules, err)
			}
		})
	}
	t.Run("never/the world reaches a site", func(t *testing.T) {
		if !closed(t, w, at(aAddr.V4, web)) {
			t.Fatal("it does")
		}
		without(t, n, "goto to_site")
		if _, err := ask(t, w, at(aAddr.V4, web)); err != nil {
			t.Fatal(err)
		}
	})
}

// TestBulkCrossesTheLinkUnharmed moves enough through the link that a wrong checksum or segment size would show.
func TestBulkCrossesTheLinkUnharmed(t *testing.T) {
	n := open(t, "bulk", segments(t))
	a, addr := site(t, n, "aaaaaaaaaa", "student", 3)
	const size = 16 << 20
	for _, ip := range []netip.Addr{addr.V4, addr.V6} {
		l := listen(t, a, at(ip, 0))
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			c.Write(make([]byte, size))
		}()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got, err := io.Copy(io.Discard, c); got != size || err != nil {
			t.Fatalf("%d bytes, %v; want %d", got, err, size)
		}
	}
}
