package network

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// grabber opens connections to the world's port 80, by IPv4 and IPv6 in turn, until one is refused, and holds them.
func grabber(t *testing.T) func(ns *os.File, want int) int {
	t.Helper()
	var held []net.Conn
	t.Cleanup(func() {
		for _, c := range held {
			_ = c.Close()
		}
	})
	return func(ns *os.File, want int) int {
		mine := 0
		_ = in(t, ns, func() error {
			for i := range want {
				c, err := net.DialTimeout("tcp", outside[i%2], time.Minute) // one too many is refused, at once
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
}

// S22: what one site may open changes while it runs, for it alone, and a new runtime finds it as it was.
func TestS22ABudgetChangesWhileTheSiteRuns(t *testing.T) {
	w := world(t)
	hold(t, w, "[::]:80")
	c := Config{Instance: "purse", Segments: segments(t), Policies: map[string]Policy{"student": {Rate: 1000, Connections: 40}}}
	n := openConfig(t, c)
	a, _ := site(t, n, "aaaaaaaaaa", "student", 3)
	b, _ := site(t, n, "bbbbbbbbbb", "student", 4)
	grab := grabber(t)
	set := func(n *Network, of Budget) {
		t.Helper()
		if err := n.Limit("student", 3, of); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, ns *os.File, most int) {
		t.Helper()
		if got := grab(ns, most+15); got != most {
			t.Errorf("%s: %d connections, want %d", what, got, most)
		}
	}
	set(n, Budget{Connections: 10})
	want("with a budget of its own", a, 10)
	want("its neighbour, by the policy", b, 40)
	set(n, Budget{Connections: 25})
	want("more, counted from the change", a, 25)
	generation := len(n.generations)
	set(n, Budget{Connections: 25})
	if len(n.generations) != generation {
		t.Error("to say it again changes the rules")
	}
	if got := grab(a, 1); got != 0 {
		t.Error("to say it again counts anew")
	}
	// A runtime that died: the next finds it on the link, before its first rules.
	second := openConfig(t, c)
	want("found by a new runtime", a, 25)
	run(t, "nft flush ruleset")
	if err := second.Reload(); err != nil {
		t.Fatal(err)
	}
	want("after a flush and a reload", a, 25)
	// Rules that somebody else has changed are put right on the way.
	run(t, "nft flush map inet purse budget")
	set(second, Budget{Connections: 5})
	want("by rules that were changed", a, 5)
	if own := strings.Count(output(t, "nft", "list", "chains"), "chain own_"); own != 1 {
		t.Errorf("%d chains of budgets, want that of the only site with one of its own", own)
	}
	if err := second.Limit("student", 4, Budget{Connections: 5}); err != nil {
		t.Fatal(err)
	}
	set(second, Budget{})
	want("by the policy again", a, 40)
	want("its neighbour, which has the same now", b, 5)
	if err := second.Limit("student", 4, Budget{}); err != nil {
		t.Fatal(err)
	}
	if left := output(t, "nft", "list", "table", "inet", "purse"); strings.Contains(left, "own_") || strings.Contains(left, "held_s_") {
		t.Errorf("what budgets left:\n%s", left)
	}
	if err := second.Limit("student", 3, Budget{Connections: -1}); err == nil {
		t.Error("fewer than none")
	}
	if err := second.Limit("pupil", 3, Budget{Connections: 1}); err == nil {
		t.Error("of no segment")
	}
}

// S29: the rate of one site changes while it runs, by both families together.
func TestS29ARateChangesWhileTheSiteRuns(t *testing.T) {
	w := world(t)
	acquaint(t, w)
	n := open(t, "pace", segments(t))
	if err := n.Limit("student", 3, Budget{Rate: 5}); err != nil { // before it is attached, as a start does
		t.Fatal(err)
	}
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	s := stranger{own, gatewayMAC("pace")}
	left := counter(t, w, "prerouting", "tcp dport 1001-1500")
	storm := func(rate int) {
		t.Helper()
		was, began := left(), time.Now()
		send(t, a, inside, s.every(netip.MustParseAddr("203.0.113.2"), s.gateway, 1500, syn)[1000:]...)
		send(t, a, inside, s.every(netip.MustParseAddr("2001:db8::2"), s.gateway, 1500, syn)[1000:]...)
		most := 4*rate + 2 + int(float64(rate)*time.Since(began).Seconds())
		if passed := left() - was; passed < 4*rate || passed > most {
			t.Errorf("%d of 1,000 left at %d a second, want %d to %d", passed, rate, 4*rate, most)
		}
	}
	storm(5)
	if err := n.Limit("student", 3, Budget{Rate: 40}); err != nil {
		t.Fatal(err)
	}
	storm(40)
	if lb, ok := parseLabel(alias(t, n, "student", 3)); !ok || lb.Rate != 40 {
		t.Error("the link says", lb)
	}
	if err := n.Detach("aaaaaaaaaa"); err != nil {
		t.Fatal(err)
	}
	if err := n.Attach(context.Background(), "cccccccccc", "student", 3, newNS(t)); err != nil {
		t.Fatal(err)
	}
	if lb, _ := parseLabel(alias(t, n, "student", 3)); lb.Rate != 40 {
		t.Error("attached again, the link says", lb)
	}
}

func alias(t *testing.T, n *Network, segment string, slot int) string {
	t.Helper()
	p, err := n.port(segment, slot)
	if err != nil {
		t.Fatal(err)
	}
	link, err := n.host.LinkByName(p.link(n.instance))
	if err != nil {
		t.Fatal(err)
	}
	return link.Attrs().Alias
}

func TestALinkThatIsOlderThanBudgetsIsKnown(t *testing.T) {
	if lb, ok := parseLabel("aaaaaaaaaa student 3"); !ok || lb.id != "aaaaaaaaaa" || lb.slot != 3 || lb.Budget != (Budget{}) {
		t.Error(lb, ok)
	}
	for _, bad := range []string{"", "aaaaaaaaaa student", "aaaaaaaaaa student x", "aaaaaaaaaa student 3 4", "a b 3 4 x"} {
		if lb, ok := parseLabel(bad); ok {
			t.Errorf("%q: %v", bad, lb)
		}
	}
}
