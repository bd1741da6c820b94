package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// teach gives the teachers VLAN 7 of up0 and the students VLAN 8; the associations leave as the host does.
func teach(s []Segment) []Segment {
	for i, v := range map[int]Segment{
		1: {
			Uplink: "up0", VLAN: 7,
			Address4: netip.MustParsePrefix("198.51.100.1/25"), Gateway4: netip.MustParseAddr("198.51.100.2"),
			Address6: netip.MustParsePrefix("2001:db8:7::1/64"), Gateway6: netip.MustParseAddr("2001:db8:7::2"),
		},
		0: {
			Uplink: "up0", VLAN: 8,
			Address4: netip.MustParsePrefix("198.51.100.129/25"), Gateway4: netip.MustParseAddr("198.51.100.130"),
			Address6: netip.MustParsePrefix("2001:db8:8::1/64"), Gateway6: netip.MustParseAddr("2001:db8:8::2"),
		},
	} {
		v.Name, v.V4, v.V6 = s[i].Name, s[i].V4, s[i].V6
		s[i] = v
	}
	return s
}

// lines is a plan as one would type it.
func (v vlan) lines() string {
	all := []string{fmt.Sprintf("link %s on %s id %d alias %q", v.name, v.parent, v.id, v.label)}
	for _, a := range v.addrs {
		all = append(all, "addr "+a.String())
	}
	for _, s := range v.sources {
		all = append(all, fmt.Sprintf("from %s lookup %d", s, v.table))
	}
	for _, r := range v.routes {
		all = append(all, r.String())
	}
	return strings.Join(all, "\n")
}

func TestThePlanOfAVLAN(t *testing.T) {
	s := teach(segments(t))
	all := vlans("petitpont", s, true)
	if len(all) != 2 {
		t.Fatal(all)
	}
	// These numbers stand in ARCHITECTURE.md: administrators write them into their monitoring.
	want := `link up0.7 on up0 id 7 alias "teacher vlan 198.51.100.1/25 2001:db8:7::1/64 via 198.51.100.2 via 2001:db8:7::2"
addr 198.51.100.1/25
addr 2001:db8:7::1/64
from 10.65.0.0/16 lookup 921230420
from 198.51.100.1/32 lookup 921230420
from ` + s[1].V6.String() + ` lookup 921230420
from 2001:db8:7::1/128 lookup 921230420
throw 10.65.0.0/16 metric 100
198.51.100.0/25 metric 100
0.0.0.0/0 via 198.51.100.2 metric 100
unreachable 0.0.0.0/0 metric 4000000000
throw ` + s[1].V6.String() + ` metric 100
2001:db8:7::/64 metric 100
::/0 via 2001:db8:7::2 metric 100
unreachable ::/0 metric 4000000000`
	if got := all[1].lines(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if all[0].table == all[1].table || !ownTable("petitpont", all[0].table) || ownTable("other", all[0].table) {
		t.Error("tables", all[0].table, all[1].table)
	}
	// A family without an address has no way out, and none by the host's routes.
	s[1].Address6, s[1].Gateway6 = netip.Prefix{}, netip.Addr{}
	if got := vlans("petitpont", s, true)[1].lines(); !strings.Contains(got, "unreachable ::/0") || strings.Contains(got, "via 2001") {
		t.Error("without an IPv6 address:\n" + got)
	}
	// Without any address the host's own routes lead there.
	s[1].Address4, s[1].Gateway4 = netip.Prefix{}, netip.Addr{}
	if got := vlans("petitpont", s, true)[1]; got.table != 0 || len(got.sources)+len(got.routes) != 0 {
		t.Error("without an address:\n" + got.lines())
	}
	if got := vlans("petitpont", teach(segments(t)), false)[0].lines(); strings.Contains(got, "2001:db8:8::1/128") {
		t.Error("on a host without IPv6:\n" + got)
	}
}

func TestAVLANThatCannotBeMeantIsRefused(t *testing.T) {
	for want, change := range map[string]func(s []Segment){
		`segment "teacher": vlan 4095: want 1 to 4094`:                                 func(s []Segment) { s[1].VLAN = 4095 },
		`segment "teacher": vlan -1: want 1 to 4094`:                                   func(s []Segment) { s[1].VLAN = -1 },
		`segment "teacher": vlan 7: want the uplink that carries it`:                   func(s []Segment) { s[1].Uplink = "" },
		`segments "student" and "teacher" share vlan 8: want one of its own for each`:  func(s []Segment) { s[1].VLAN = 8 },
		`segments "teacher" and "association" both leave by up0.7`:                     func(s []Segment) { s[2].Uplink = "up0.7" },
		`gateway 198.51.100.200: not another address in the net of 198.51.100.1/25`:    func(s []Segment) { s[1].Gateway4 = netip.MustParseAddr("198.51.100.200") },
		`gateway 198.51.100.1: not another address in the net of 198.51.100.1/25`:      func(s []Segment) { s[1].Gateway4 = netip.MustParseAddr("198.51.100.1") },
		`gateway 2001:db8:8::2: not another address in the net of 2001:db8:7::1/64`:    func(s []Segment) { s[1].Gateway6 = netip.MustParseAddr("2001:db8:8::2") },
		`gateway 198.51.100.2: want an address of this host beside it`:                 func(s []Segment) { s[1].Address4 = netip.Prefix{} },
		`address 198.51.100.0/25: want this host's own in the VLAN`:                    func(s []Segment) { s[1].Address4 = netip.MustParsePrefix("198.51.100.0/25") },
		`address fe80::1/64: want this host's own in the VLAN`:                         func(s []Segment) { s[1].Address6 = netip.MustParsePrefix("fe80::1/64") },
		`segments "student" and "teacher" share an address`:                            func(s []Segment) { s[1].Address4, s[1].Gateway4 = s[0].Address4, s[0].Gateway4 },
		`segment "teacher": its address in the VLAN lies in the block of the sites of`: func(s []Segment) { s[1].Address4, s[1].Gateway4 = netip.MustParsePrefix("10.66.0.9/24"), netip.Addr{} },
		`segment "association": address and gateway: want a vlan`:                      func(s []Segment) { s[2].Uplink, s[2].Address4 = "up1", netip.MustParsePrefix("192.0.2.1/24") },
		`uplink "enxaabbccddeeff.7": not an interface name of at most 15 letters`:      func(s []Segment) { s[1].Uplink = "enxaabbccddeeff" },
	} {
		s := teach(segments(t))
		change(s)
		if err := (Config{Instance: "bad", Segments: s}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	good := teach(segments(t))
	good[1].Gateway6 = netip.MustParseAddr("fe80::1") // routers are often known by these only
	if err := (Config{Instance: "good", Segments: good}).Check(); err != nil {
		t.Error(err)
	}
}

func TestAKernelWithoutVLANsIsNamed(t *testing.T) {
	if err := explainVLAN(unix.EOPNOTSUPP); !errors.Is(err, errNoVLAN) || !strings.Contains(err.Error(), "8021q") {
		t.Error(err)
	}
	if err := explainVLAN(unix.EEXIST); errors.Is(err, errNoVLAN) {
		t.Error(err)
	}
	if explainVLAN(nil) != nil {
		t.Error("an error where there is none")
	}
}
