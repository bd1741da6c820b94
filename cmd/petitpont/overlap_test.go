package main

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// Two instances with one block would each send visitors to the other's sites.
func TestABlockThatSomebodyElseHasIsRefused(t *testing.T) {
	c := defaultConfig()
	c.Instance, c.Network = "ppfree", "10.120.0.0/14"
	segments, err := c.segments()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		what, link, addr string
		free             bool
	}{
		{"our own bridge", "ppfree_s0", "10.120.0.1/22", true},
		{"another's gateway", "ppfrei_s0", "10.120.0.1/22", false},
		{"another's IPv6 alone", "ppfrei_t0", segments[1].V6.Addr().Next().String() + "/112", false},
		{"an address of a later segment", "ppfrei_x0", "10.122.9.9/32", false},
		{"a wider network around it", "ppfrei_x1", "10.119.0.1/8", true},
	} {
		t.Run(k.what, func(t *testing.T) {
			withAddress(t, k.link, k.addr)
			err := checkFree(c)
			if (err == nil) != k.free {
				t.Fatalf("got %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), k.link) {
				t.Errorf("%v does not name %s", err, k.link)
			}
		})
	}
}

// withAddress makes an interface that is down: nothing is sent, and no route leads there.
func withAddress(t *testing.T, name, addr string) {
	t.Helper()
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	_ = netlink.LinkDel(link) // of a test that was killed
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	a, err := netlink.ParseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(link, a); err != nil {
		t.Fatal(err)
	}
}
