package network

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestWithoutItsVLANASegmentGoesNowhere(t *testing.T) {
	w, tr, n := school(t, "down")
	teacher, _ := site(t, n, "bbbbbbbbbb", "teacher", 4)
	strayed := counter(t, w, "prerouting", `iifname "eth0" tcp dport 80`)
	nowhere := func(what string) {
		t.Helper()
		for _, to := range outside {
			if !closed(t, teacher, to) {
				t.Errorf("%s: reaches %s", what, to)
			}
		}
		if got := strayed(); got != 0 {
			t.Errorf("%s: %d packets left by the host's own way", what, got)
		}
	}
	run(t, "ip link set up0.7 down")
	nowhere("the VLAN is down")
	// Not even with routes alone, or rules alone: each holds by itself.
	without(t, n, `oifname != "up0.7"`)
	nowhere("the VLAN is down, without its rule in nft")
	if err := n.Reload(); err != nil {
		t.Fatal(err)
	}
	dropRules(t, n)
	nowhere("the rules that lead to the table are gone")
	keep(t, n)
	back := func() bool { _, err := ask(t, teacher, outside[0]); return err == nil }
	fact(t, "what was gone when the keeper came is back", back)
	leavesAs(t, teacher, "198.51.100.1", "2001:db8:7::1")
	for name, damage := range map[string]func(){
		"rules removed":    func() { dropRules(t, n) },
		"routes removed":   func() { dropRoutes(t, n) },
		"address removed":  func() { dropAddrs(t, n) },
		"VLAN taken down":  func() { run(t, "ip link set up0.7 down") },
		"uplink down, up":  func() { run(t, "ip link set up0 down; ip link set up0 up") },
		"VLAN removed":     func() { run(t, "ip link del up0.7") },
		"all at once gone": func() { dropRules(t, n); run(t, "ip link del up0.7") },
	} {
		damage()
		fact(t, name+" and back", func() bool {
			if exec.Command("ip", "link", "show", "up0.7").Run() != nil {
				return false
			}
			router(t, w, tr, n.segments[1])
			return carries(t, w) && back()
		})
		fact(t, name+" and back by IPv6", func() bool { _, err := ask(t, teacher, outside[1]); return err == nil })
		leavesAs(t, teacher, "198.51.100.1", "2001:db8:7::1")
	}
	if got := strayed(); got != 0 {
		t.Errorf("%d packets left by the host's own way in the meantime", got)
	}
}

// carries tells that both ends of the teachers' VLAN are up. What is sent while a link comes up is lost, and TCP sends it
// again after a whole second.
func carries(t *testing.T, w *os.File) bool {
	t.Helper()
	return sh("ip link show up0.7 | grep -q 'state UP'") == nil &&
		in(t, w, func() error { return sh("ip link show eth0.7 | grep -q 'state UP'") }) == nil
}

func dropRules(t *testing.T, n *Network) {
	t.Helper()
	for _, v := range n.vlans {
		for _, src := range v.sources {
			if err := n.host.RuleDel(v.rule(src)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// dropRoutes takes away the routes of the teachers' table, one by one: "ip route flush" begins again as long as it finds
// any, for half a minute, and who puts them back keeps it at that.
func dropRoutes(t *testing.T, n *Network) {
	t.Helper()
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := n.host.RouteListFiltered(family, &netlink.Route{Table: n.vlans[1].table}, netlink.RT_FILTER_TABLE)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			if err := n.host.RouteDel(&r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// stubborn is a trunk that makes nothing for a while.
type stubborn struct {
	standIn
	refuses *atomic.Bool
	refused *atomic.Int32
}

func (s stubborn) add(h *netlink.Handle, attrs netlink.LinkAttrs, id int) error {
	if s.refuses.Load() {
		s.refused.Add(1)
		return unix.ENOMEM
	}
	return s.standIn.add(h, attrs, id)
}

// What fails is tried again although the kernel has no more news of it.
func TestAVLANThatCannotBeMadeIsTriedAgain(t *testing.T) {
	trunk := stubborn{standIn{world(t)}, new(atomic.Bool), new(atomic.Int32)}
	n := openConfig(t, Config{Instance: "again", Segments: teach(segments(t)), trunk: trunk})
	keep(t, n)
	trunk.refuses.Store(true)
	run(t, "ip link del up0.7")
	fact(t, "it is tried long after the last news of it", func() bool { return trunk.refused.Load() > 3 })
	trunk.refuses.Store(false)
	fact(t, "the VLAN is back", func() bool { return sh("ip link show up0.7") == nil })
}

func TestTriesAreSpacedOutAndNewsPutsNothingOff(t *testing.T) {
	var said strings.Builder
	tries := tries{log: slog.New(slog.NewTextHandler(&said, nil))}
	bad := errors.New("bad")
	first := tries.next(bad)
	if early := tries.next(bad); early != first || time.Until(first) > time.Second {
		t.Error(first, early)
	}
	for range 20 {
		tries.at = time.Time{} // its time has come
		tries.next(bad)
	}
	if tries.wait != time.Minute || strings.Count(said.String(), "bad") != 1 {
		t.Error(tries.wait, said.String())
	}
	if at := tries.next(nil); !at.IsZero() || tries.wait != 0 || !strings.Contains(said.String(), "again") {
		t.Error(at, tries.wait, said.String())
	}
}

// An uplink that is away keeps nobody from starting again: the other segments have sites too.
func TestANetworkThatStandsOpensWithoutAnUplink(t *testing.T) {
	w, tr, n := school(t, "returns")
	teacher, _ := site(t, n, "bbbbbbbbbb", "teacher", 4)
	club, _ := site(t, n, "cccccccccc", "association", 5)
	run(t, "ip link set up0 down; ip link set up0 name away0; ip link del up0.7")
	t.Cleanup(func() { exec.Command("ip", "link", "del", "away0").Run() }) // after a failure
	second := openConfig(t, Config{Instance: "returns", Segments: teach(segments(t)), trunk: tr})
	port := greet(t, club, ":0")
	a, _ := second.Addr("association", 5)
	if _, err := ask(t, hostNS(t), at(a.V4, port)); err != nil {
		t.Error("a site of another segment:", err)
	}
	if !closed(t, teacher, outside[0]) {
		t.Error("a teacher gets out while the uplink is away")
	}
	keep(t, second)
	run(t, `ip link set away0 name up0; ip link set up0 up`)
	fact(t, "the VLAN is back", func() bool { return sh("ip link show up0.7") == nil })
	router(t, w, tr, n.segments[1])
	for _, to := range outside {
		fact(t, "the teacher's way is back", func() bool { _, err := ask(t, teacher, to); return err == nil })
	}
}
