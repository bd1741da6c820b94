package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What an administrator writes about the network is what the rules are made of.
func TestEgressOfTheConfiguration(t *testing.T) {
	c, err := loadConfig(writeFile(t, `
resolvers = ["10.0.0.53", "fd00::53"]

[proxy]
url = "http://10.1.2.3:3128"
direct = ["ecole.example"]

[egress.student]
uplink = "eth1"
vlan = 12
address = ["198.51.100.10/24", "2001:db8:12::10/64"]
gateway = ["198.51.100.1", "fe80::1"]
closed = ["192.0.2.0/24", "2001:db8::/48"]
open = ["10.0.0.80:443"]
rate = 20
connections = 100

[egress.teacher]
inside = true
`))
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := c.proxyAddrs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	policies, err := c.policies(proxy)
	if err != nil {
		t.Fatal(err)
	}
	student, at := policies["student"], netip.MustParseAddrPort("10.1.2.3:3128")
	if student.Rate != 20 || student.Connections != 100 || len(student.Closed) != 2 ||
		!slices.Equal(student.Open, []netip.AddrPort{netip.MustParseAddrPort("10.0.0.80:443"), at}) {
		t.Errorf("student: %+v", student)
	}
	if p := policies["teacher"]; !p.Inside || !slices.Equal(p.Open, []netip.AddrPort{at}) {
		t.Errorf("teacher: %+v", p)
	}
	if p := policies["association"]; p.Inside || !slices.Equal(p.Open, []netip.AddrPort{at}) {
		t.Errorf("association: %+v", p)
	}
	segments, err := c.segments()
	if err != nil || segments[0].Uplink != "eth1" || segments[0].VLAN != 12 || segments[1].VLAN != 0 {
		t.Errorf("segments: %+v, %v", segments, err)
	}
	if s := segments[0]; s.Address4.String() != "198.51.100.10/24" || s.Address6.String() != "2001:db8:12::10/64" ||
		s.Gateway4.String() != "198.51.100.1" || s.Gateway6.String() != "fe80::1" {
		t.Errorf("the VLAN: %+v", s)
	}
	// The self-check runs beside the runtime, whose VLAN it is.
	if e := borrowed(c.Egress)["student"]; e.Uplink != "eth1.12" || e.VLAN != 0 || e.Address != nil || e.Gateway != nil || e.Rate != 20 {
		t.Errorf("of the self-check: %+v", e)
	}
	if dns, err := c.resolvers(nil); err != nil || len(dns) != 2 {
		t.Errorf("resolvers: %v, %v", dns, err)
	}
	if url, direct := c.buildProxy(); url != "http://10.1.2.3:3128" || direct != "ecole.example" {
		t.Errorf("builds: %s %s", url, direct)
	}
	if w := c.webProxy(); w.URL != c.Proxy.URL || !slices.Equal(w.Direct, c.Proxy.Direct) {
		t.Errorf("sites: %+v", w)
	}
}

func TestEgressThatCannotBeMeantIsRefused(t *testing.T) {
	for text, word := range map[string]string{
		"[egress.pupil]\nrate = 1":                    "egress.pupil",
		"[egress.student]\nclosed = [\"192.0.2.1\"]":  "closed",
		"[egress.student]\nopen = [\"10.0.0.1\"]":     "open",
		"[egress.student]\nrats = 1":                  "rats",
		"[egress.student]\nvlan = 12":                 "vlan 12: want the uplink that carries it",
		"[egress.student]\naddress = [\"192.0.2.1\"]": "address \"192.0.2.1\": want this host's own",
		"[egress.student]\nuplink = \"e0\"\nvlan = 12\naddress = [\"192.0.2.1/24\", \"192.0.2.2/24\"]":             "one of each family",
		"[egress.student]\nuplink = \"e0\"\nvlan = 12\naddress = [\"192.0.2.9/24\"]\ngateway = [\"198.51.100.1\"]": "segment \"student\": gateway 198.51.100.1",
		"[proxy]\nurl = \"proxy:3128\"": "proxy.url",
		"resolvers = [\"dns.example\"]": "resolvers",
	} {
		if _, err := loadConfig(writeFile(t, text)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The host's own resolver is used when sites can reach it: one on its loopback answers only the host.
func TestTheHostsResolver(t *testing.T) {
	stub := writeFile(t, "# local\nnameserver 127.0.0.53\noptions edns0\n")
	upstream := writeFile(t, "nameserver 10.9.9.9\nnameserver 10.9.9.10\nnameserver fe80::1%eth0\nnameserver 2001:db8::53\n")
	if got := hostResolvers(stub, upstream); len(got) != 2 || got[0].String() != "10.9.9.9" || got[1].String() != "2001:db8::53" {
		t.Error(got)
	}
	if got := hostResolvers(upstream, stub); got[0].String() != "10.9.9.9" {
		t.Error(got)
	}
	if got := hostResolvers(stub, "/nonexistent"); got != nil {
		t.Error(got)
	}
}
