package network

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// talk opens a connection from a site to a host of the world, and returns both ends. Its site is one that only listens:
// it says nothing by itself, not even that it is still there.
func talk(t *testing.T, w, site *os.File, to string) (near, far net.Conn) {
	t.Helper()
	l := listen(t, w, to)
	err := in(t, site, func() (err error) {
		d := net.Dialer{Timeout: time.Minute, KeepAlive: -1}
		near, err = d.Dial("tcp", l.Addr().String())
		return err
	})
	if err == nil {
		t.Cleanup(func() { near.Close() })
		far, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

// hears fails unless what the other side says arrives. It may have to be sent again for some seconds.
func hears(t *testing.T, what string, near, far net.Conn) {
	t.Helper()
	word := []byte("still there?")
	got := make([]byte, len(word))
	err := errors.Join(far.SetDeadline(time.Now().Add(time.Minute)), near.SetDeadline(time.Now().Add(time.Minute)))
	if err == nil {
		_, err = far.Write(word)
	}
	if err == nil {
		_, err = io.ReadFull(near, got)
	}
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// A download goes on, and a connection that is opened the moment the way is back is not forgotten a moment later.
func TestConnectionsOutliveTheirVLANsAbsence(t *testing.T) {
	w, _, n := school(t, "absence")
	teacher, _ := site(t, n, "bbbbbbbbbb", "teacher", 4)
	keep(t, n)
	for what, damage := range map[string]func(){
		"address removed": func() { dropAddrs(t, n) },
		"VLAN taken down": func() { run(t, "ip link set up0.7 down") },
	} {
		near4, far4 := talk(t, w, teacher, at("203.0.113.2", 0))
		near6, far6 := talk(t, w, teacher, at("2001:db8::2", 0))
		hears(t, "before", near4, far4)
		hears(t, "before, by IPv6", near6, far6)
		damage()
		for _, to := range outside {
			fact(t, what+" and back", func() bool { _, err := ask(t, teacher, to); return err == nil })
		}
		hears(t, what, near4, far4)
		hears(t, what+", by IPv6", near6, far6)
	}
}

// Nobody answers under an address that is no longer this host's.
func TestConnectionsOfAnEarlierWayOutEnd(t *testing.T) {
	w := world(t)
	tr := trunkHere(t, w)
	c := Config{Instance: "moves", Segments: teach(segments(t)), trunk: tr}
	n := openConfig(t, c)
	router(t, w, tr, n.segments[1])
	if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil { // of other tests
		t.Fatal(err)
	}
	teacher, _ := site(t, n, "bbbbbbbbbb", "teacher", 4)
	club, _ := site(t, n, "cccccccccc", "association", 5)
	stays, far := talk(t, w, club, at("203.0.113.2", 0))
	for _, to := range []string{at("203.0.113.2", 0), at("2001:db8::2", 0)} {
		talk(t, w, teacher, to)
	}
	if got := under(t, n); got != [2]int{1, 1} {
		t.Fatal("connections under the addresses of a VLAN:", got)
	}
	openConfig(t, c)
	if got := under(t, n); got != [2]int{1, 1} {
		t.Error("with the same configuration, connections under the addresses of a VLAN:", got)
	}
	c.Segments = segments(t)
	openConfig(t, c)
	if got := under(t, n); got != [2]int{} {
		t.Error("after the VLAN was given up, connections under its addresses:", got)
	}
	hears(t, "another segment", stays, far)
}

// under counts the connections that left under the addresses of the teachers' VLAN, IPv4 and IPv6.
func under(t *testing.T, n *Network) (count [2]int) {
	t.Helper()
	for i, a := range n.vlans[1].addrs {
		family := []netlink.InetFamily{netlink.FAMILY_V4, netlink.FAMILY_V6}[i]
		flows, err := dump(func() ([]*netlink.ConntrackFlow, error) {
			return netlink.ConntrackTableList(netlink.ConntrackTable, family)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range flows {
			if addr(f.Reverse.DstIP) == a.Addr() {
				count[i]++
			}
		}
	}
	return count
}

// dropAddrs takes a VLAN its addresses away, one by one: "ip addr flush" begins again as long as it finds any.
func dropAddrs(t *testing.T, n *Network) {
	t.Helper()
	link, err := n.host.LinkByName(n.vlans[1].name)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range n.vlans[1].addrs {
		if err := n.host.AddrDel(link, address(a)); err != nil {
			t.Fatal(err)
		}
	}
}
