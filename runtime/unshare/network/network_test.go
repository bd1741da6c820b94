package network

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// state is everything of the host that a network may touch, less what changes by itself: an address is tentative until
// nobody else has claimed it, and only permanent neighbours are somebody's work.
func state(t testing.TB) string {
	t.Helper()
	var sysctls []string
	for _, p := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/up0/accept_ra", "ipv4/conf/all/rp_filter"} {
		v, _ := getSysctl(p)
		sysctls = append(sysctls, p+"="+v)
	}
	addrs := strings.ReplaceAll(output(t, "ip", "-o", "addr"), " tentative", "")
	return output(t, "ip", "-o", "link") + addrs + output(t, "ip", "neigh", "show", "nud", "permanent") +
		output(t, "nft", "-s", "list", "ruleset") + strings.Join(sysctls, "\n")
}

func TestCloseLeavesTheHostAsItWas(t *testing.T) {
	world(t)
	run(t, "nft add table inet foreign; ip link add foreign0 type bridge")
	t.Cleanup(func() { run(t, "nft delete table inet foreign; ip link del foreign0") })
	was := state(t)
	n := open(t, "leave", segments(t))
	for i := range 3 {
		site(t, n, fmt.Sprintf("site%06d", i), "student", i)
	}
	site(t, n, "far0000000", "teacher", 1500)
	if v, _ := getSysctl("ipv4/ip_forward"); v != "1" {
		t.Fatal("forwarding is off")
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if is := state(t); is != was {
		t.Fatalf("before:\n%s\nafter:\n%s", was, is)
	}
}

func TestTheHostKeepsItsIPv6RoutesWhenItBecomesARouter(t *testing.T) {
	// accept_ra counts on interfaces of hardware only; "device" is what a dummy is not, so this reads the rule itself.
	n := &Network{log: nil, v6: true}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	card := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "default"}} // a directory that every namespace has
	if err := setSysctl("ipv6/conf/default/accept_ra", "1"); err != nil {
		t.Fatal(err)
	}
	if got := n.listeners([]netlink.Link{lo, card}); !slices.Equal(got, before{"ipv6/conf/default/accept_ra=1"}) {
		t.Fatal(got)
	}
	n.before = before{"ipv6/conf/all/forwarding=0", "ipv6/conf/default/accept_ra=1"}
	t.Cleanup(func() {
		if err := n.restore(nil); err != nil {
			t.Error(err)
		}
		if v, _ := getSysctl("ipv6/conf/default/accept_ra"); v != "1" {
			t.Errorf("accept_ra is %s after", v)
		}
	})
	if err := n.forward(); err != nil {
		t.Fatal(err)
	}
	if v, _ := getSysctl("ipv6/conf/default/accept_ra"); v != "2" {
		t.Fatalf("accept_ra is %s", v)
	}
}

func TestOpenAdoptsWhatAKilledProcessLeft(t *testing.T) {
	first := open(t, "adopt", segments(t))
	a, addr := site(t, first, "aaaaaaaaaa", "student", 3)
	site(t, first, "bbbbbbbbbb", "teacher", 2001)
	port := greet(t, a, ":0")
	// A port that was made and not yet labelled: the process died in between.
	run(t, fmt.Sprintf("ip link add adopt-s9 group %d type veth peer name x9", group("adopt")))

	second := open(t, "adopt", segments(t))
	if _, err := ask(t, hostNS(t), at(addr.V4, port)); err != nil {
		t.Fatal("the site lost its network:", err)
	}
	ids, err := second.List()
	if slices.Sort(ids); err != nil || !slices.Equal(ids, []string{"aaaaaaaaaa", "bbbbbbbbbb"}) {
		t.Fatal(ids, err)
	}
	if strings.Contains(output(t, "ip", "-o", "link"), "adopt-s9") {
		t.Fatal("the half-made port still stands")
	}
	site(t, second, "cccccccccc", "teacher", 2002) // on a bridge that was adopted
	for range 2 {                                  // the second time it is a no-op
		if err := second.Detach("aaaaaaaaaa"); err != nil {
			t.Fatal(err)
		}
	}
	if ids, _ := second.List(); slices.Contains(ids, "aaaaaaaaaa") {
		t.Fatal("still listed")
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if v, _ := getSysctl("ipv4/ip_forward"); v != "0" {
		t.Fatal("the sysctl of before the first Open is not restored")
	}
}

func TestOpenRefusesWhatIsNotOurs(t *testing.T) {
	run(t, "ip link add refuse_s0 type bridge")
	t.Cleanup(func() { run(t, "ip link del refuse_s0") })
	if n, err := Open(Config{Instance: "refuse", Segments: segments(t)}); err == nil {
		n.Close()
		t.Fatal("took somebody's bridge")
	}
	if left := output(t, "nft", "list", "tables") + output(t, "ip", "-o", "link"); strings.Contains(left, "refuse_t0") || strings.Contains(left, "table") {
		t.Fatal("the failed Open left", left)
	}
	bad := segments(t)
	bad[0].Uplink = "eth0\"; flush ruleset"
	if _, err := Open(Config{Instance: "bad", Segments: bad}); err == nil {
		t.Fatal("took a name that is an nft command")
	}
}

// Which words those are, only nft knows.
func TestAnInstanceNamedLikeAWordOfNftIsRefused(t *testing.T) {
	before := output(t, "ip", "link") + output(t, "nft", "list", "ruleset")
	for _, word := range []string{"ip", "missing", "counter"} {
		_, err := Open(Config{Instance: word, Segments: segments(t)})
		if err == nil || !strings.Contains(err.Error(), "choose another name") || strings.Contains(err.Error(), "syntax") {
			t.Errorf("%s: %v", word, err)
		}
	}
	if after := output(t, "ip", "link") + output(t, "nft", "list", "ruleset"); after != before {
		t.Error(after)
	}
}

func TestAttachAgainReplacesTheLinkOfADyingNamespace(t *testing.T) {
	n := open(t, "again", segments(t))
	for range 10 {
		ns := newNS(t)
		if err := n.Attach(context.Background(), "aaaaaaaaaa", "student", 3, ns); err != nil {
			t.Fatal(err)
		}
		ns.Close() // the kernel clears the namespace away in its own time
	}
	a, addr := site(t, n, "aaaaaaaaaa", "student", 3)
	if _, err := ask(t, hostNS(t), at(addr.V6, greet(t, a, ":0"))); err != nil {
		t.Fatal(err)
	}
	if err := n.Attach(context.Background(), "bbbbbbbbbb", "student", 3, newNS(t)); err == nil {
		t.Fatal("two sites in one slot")
	}
	if _, err := ask(t, hostNS(t), at(addr.V4, greet(t, a, ":0"))); err != nil {
		t.Fatal("the refused one broke the first:", err)
	}
}

// TestTheFirstPacketArrives connects the moment Attach returns. A packet that is lost then costs a second.
func TestTheFirstPacketArrives(t *testing.T) {
	n := open(t, "first", segments(t))
	host, before := hostNS(t), lost(t)
	for i := range 60 {
		if i == 30 { // first on a bridge without ports, then on one that is in use
			site(t, n, "neighbour0", "student", 99)
		}
		ns := newNS(t)
		port := greet(t, ns, ":0")
		if err := n.Attach(context.Background(), "aaaaaaaaaa", "student", i, ns); err != nil {
			t.Fatal(err)
		}
		a, err := n.Addr("student", i)
		if err != nil {
			t.Fatal(err)
		}
		for _, ip := range []netip.Addr{a.V4, a.V6} {
			if _, err := ask(t, host, at(ip, port)); err != nil || lost(t) > before {
				t.Fatalf("attach %d, %s: %v, %d packets lost", i, ip, err, lost(t)-before)
			}
		}
		if err := n.Detach("aaaaaaaaaa"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAttachLeavesNothingAfterAnError(t *testing.T) {
	n := open(t, "fail", segments(t))
	site(t, n, "aaaaaaaaaa", "student", 1)
	was := state(t)
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := n.Attach(context.Background(), "bbbbbbbbbb", "student", 2, file); err == nil {
		t.Fatal("attached to a file that is no namespace")
	}
	taken := newNS(t)
	if err := in(t, taken, func() error { return sh("ip link add eth0 type bridge") }); err != nil {
		t.Fatal(err)
	}
	if err := n.Attach(context.Background(), "bbbbbbbbbb", "student", 2, taken); err == nil {
		t.Fatal("attached where eth0 exists")
	}
	late := newNS(t) // fails at the last step inside: the address is there already
	err = in(t, late, func() error {
		return sh("ip addr add 10.64.0.12/32 dev lo; ip link set lo up; ip route add default dev lo")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Attach(context.Background(), "bbbbbbbbbb", "student", 2, late); err == nil {
		t.Fatal("attached where a default route exists")
	}
	if is := state(t); is != was {
		t.Fatalf("before:\n%s\nafter:\n%s", was, is)
	}
}

func TestFiftySitesComeAndGoAtOnce(t *testing.T) {
	n := open(t, "many", segments(t))
	var wg sync.WaitGroup
	for i := range 50 {
		ns := newNS(t)
		wg.Go(func() {
			if err := n.Attach(context.Background(), fmt.Sprintf("site%06d", i), "student", 980+i, ns); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ids, err := n.List(); err != nil || len(ids) != 50 {
		t.Fatal(len(ids), err)
	}
	for i := range 50 {
		wg.Go(func() {
			if err := n.Detach(fmt.Sprintf("site%06d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ids, err := n.List(); err != nil || len(ids) != 0 {
		t.Fatal(ids, err)
	}
}

func TestAddressesFollowFromTheSlot(t *testing.T) {
	s := segments(t)
	seen := map[string]string{}
	for _, seg := range s {
		for _, slot := range []int{0, 1, 899, 999, 1000, 1999, 2000, maxSlot} {
			p, err := seg.port(slot)
			if err != nil {
				t.Fatal(err)
			}
			a, name := p.addr("petitpont"), p.link("petitpont")
			if len(name) > unix.IFNAMSIZ-1 || len(p.bridge("petitpont")) > unix.IFNAMSIZ-1 {
				t.Errorf("%s is too long", name)
			}
			if !p.net4().Contains(a.V4) || !p.net6().Contains(a.V6) || !seg.V4.Contains(a.V4) || !seg.V6.Contains(a.V6) || a.MAC[0] != 2 {
				t.Errorf("slot %d: %v outside its bridge", slot, a)
			}
			for _, key := range []string{name, a.V4.String(), a.V6.String(), a.MAC.String()} {
				if seen[key] != "" {
					t.Errorf("%s twice: %s and %s", key, seen[key], name)
				}
				seen[key] = name
			}
		}
		if _, err := seg.port(maxSlot + 1); err == nil {
			t.Error("a slot past the last")
		}
	}
}

// BenchmarkAttach is one site's attach and detach: go test -bench Attach -run '^$' ./runtime/unshare/network
func BenchmarkAttach(b *testing.B) {
	n := open(b, "bench", segments(b))
	ns := newNS(b)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		ns.Close()
		ns = newNS(b)
		b.StartTimer()
		if err := n.Attach(context.Background(), "aaaaaaaaaa", "student", i%900, ns); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := n.Detach("aaaaaaaaaa"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkDetach is the other half: the kernel waits for readers before it lets a link go.
func BenchmarkDetach(b *testing.B) {
	n := open(b, "bench", segments(b))
	ns := newNS(b)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		if err := n.Attach(context.Background(), "aaaaaaaaaa", "student", i%900, ns); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := n.Detach("aaaaaaaaaa"); err != nil {
			b.Fatal(err)
		}
	}
}
