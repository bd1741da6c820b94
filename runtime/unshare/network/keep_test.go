package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keep runs Keep until the test ends, and waits for its guard.
func keep(t testing.TB, n *Network) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.Keep(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	fact(t, "the guard stands", func() bool { ok, err := n.guarded(); return ok && err == nil })
}

func fact(t testing.TB, what string, seen func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // an emulated machine takes its time
	defer cancel()
	if err := until(ctx, func() (bool, error) { return seen(), nil }); err != nil {
		t.Fatal("waited for: " + what)
	}
}

// probe sends, each millisecond, what must never pass: to the host, to the neighbour, to the metadata service and to a
// mail server, by both families, and with a forged source.
type probe struct {
	sent, late int
	stop       func()
	leaked     func() int
}

func startProbe(t *testing.T, w, ns, neighbour *os.File, instance string, own, other Addr) *probe {
	t.Helper()
	s := stranger{own, gatewayMAC(instance)}
	var frames [][]byte
	for _, dst := range []string{"203.0.113.1", "2001:db8::1", other.V4.String(), other.V6.String(), "169.254.169.254", "10.9.9.9", "fd00:ec2::254"} {
		ip := netip.MustParseAddr(dst)
		frames = append(frames, to(s.gateway, own.MAC, syn(s.source(ip), ip, 4000, 7777)))
	}
	for _, dst := range []string{"203.0.113.2", "2001:db8::2"} {
		ip := netip.MustParseAddr(dst)
		frames = append(frames, to(s.gateway, own.MAC, syn(s.source(ip), ip, 4000, 25)))
	}
	forged := own.V4.Next().Next().Next()
	frames = append(frames, to(s.gateway, own.MAC, datagram(forged, netip.MustParseAddr("203.0.113.2"), 4000, 7777)))
	match := "th dport { 7777, 25 }"
	host, world, hit := delivered(t), counter(t, w, "prerouting", match), counter(t, neighbour, "prerouting", match)
	p := &probe{leaked: func() int { return host() + world() + hit() }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- in(t, ns, func() error {
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			for tick := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-tick.C {
				for _, f := range frames {
					// The link comes and goes, each time with another number.
					err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: linkIndex()})
					if err == nil {
						p.sent++
					} else {
						p.late++
					}
				}
			}
			return nil
		})
	}()
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(p.stop)
	return p
}

// delivered counts what the host lets in to port 7777, by sockets that no flush removes.
func delivered(t *testing.T) func() int {
	t.Helper()
	var fds []int
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for _, proto := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(fd) })
			fds = append(fds, fd)
		}
	}
	seen := 0
	return func() int {
		buf := make([]byte, 2048)
		for i, fd := range fds {
			for {
				k, err := unix.Read(fd, buf)
				if err != nil {
					break
				}
				header := 20 * (1 - i/2) // raw sockets of IPv4 show the header, those of IPv6 do not
				if k >= header+4 && binary.BigEndian.Uint16(buf[header+2:]) == 7777 {
					seen++
				}
			}
		}
		return seen
	}
}

// linkIndex finds eth0 as the calling thread's namespace has it now.
func linkIndex() int {
	b, err := os.ReadFile("/proc/thread-self/net/dev_snmp6/eth0")
	if err != nil {
		return 0
	}
	var index int
	_, _ = fmt.Sscanf(string(b), "ifIndex %d", &index)
	return index
}

// S31: there is no moment in which a packet passes that may not, whatever happens to the rules or the link.
func TestS31NothingPassesAtAnyMoment(t *testing.T) {
	w := world(t)
	acquaint(t, w)
	n := open(t, "moment", segments(t))
	keep(t, n)
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	b, other := site(t, n, "bbbbbbbbbb", "student", 4)
	again := func(name string, times int, f func() error) {
		t.Run(name, func(t *testing.T) {
			p := startProbe(t, w, a, b, "moment", own, other)
			for range times {
				if err := f(); err != nil {
					t.Fatal(err)
				}
			}
			fact(t, "some went out", func() bool { return p.sent > 200 })
			p.stop()
			if got := p.leaked(); got != 0 {
				t.Errorf("%d of %d packets leaked", got, p.sent)
			}
			t.Logf("%d sent, %d while there was no link", p.sent, p.late)
		})
	}
	again("start and stop of the site", 15, func() error {
		return errors.Join(n.Detach("aaaaaaaaaa"), n.Attach(context.Background(), "aaaaaaaaaa", "student", 3, a))
	})
	again("reload", 10, n.Reload)
	again("another runtime takes over", 4, func() error {
		second, err := Open(Config{Instance: "moment", Segments: segments(t)})
		if err == nil {
			second.host.Close() // as if killed: what it made stands
		}
		return err
	})
	again("a flush of all rules", 5, func() error {
		err := sh("nft flush ruleset")
		fact(t, "the rules are back", func() bool { return sh("nft list chain inet moment to_host") == nil })
		return err
	})
	again("a deletion of our tables", 5, func() error {
		err := sh("nft delete table inet moment; nft delete table bridge moment")
		fact(t, "the rules are back", func() bool {
			return sh("nft list chain inet moment to_host") == nil && sh("nft list chain bridge moment from_port") == nil
		})
		return err
	})
	port := greet(t, w, "[::]:0")
	if _, err := ask(t, a, at("203.0.113.2", port)); err != nil {
		t.Error("after all that the site does not reach the world:", err)
	}
}

// The counter-proof: the same probe sees packets pass when the rules are gone and no guard stands, and none when it does.
func TestS31TheGuardIsWhatHolds(t *testing.T) {
	w := world(t)
	acquaint(t, w)
	n := open(t, "bare", segments(t))
	a, own := site(t, n, "aaaaaaaaaa", "student", 3)
	b, other := site(t, n, "bbbbbbbbbb", "student", 4)
	p := startProbe(t, w, a, b, "bare", own, other)
	const gone = "nft delete table inet bare; nft delete table bridge bare"
	run(t, gone)
	fact(t, "packets leak", func() bool { return p.leaked() > 0 })
	p.stop()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { n.guard(ctx); close(done) }() // and nobody to put the rules back
	t.Cleanup(func() { cancel(); <-done })
	fact(t, "the guard stands", func() bool { ok, err := n.guarded(); return ok && err == nil })
	guarded := startProbe(t, w, a, b, "bare", own, other)
	fact(t, "some went out", func() bool { return guarded.sent > 1000 })
	guarded.stop()
	if got := guarded.leaked(); got != 0 {
		t.Errorf("%d of %d packets pass the guard alone", got, guarded.sent)
	}
}

// What a change by somebody else costs: the rules are back within milliseconds, by the kernel's own news of it.
func TestOneRuleTakenOutIsPutBack(t *testing.T) {
	n := open(t, "one1", segments(t))
	keep(t, n)
	was := output(t, "nft", "-s", "list", "table", "inet", "one1")
	for name, change := range map[string]string{
		"a chain emptied":     "nft flush chain inet one1 to_host",
		"a rule added":        "nft insert rule inet one1 to_host accept",
		"another one emptied": "nft flush chain inet one1 anywhere",
		"a table gone":        "nft delete table inet one1",
	} {
		run(t, change)
		fact(t, name+" is put back", func() bool {
			out := new(string)
			return capture(out, "nft", "-s", "list", "table", "inet", "one1") == nil && *out == was
		})
	}
	last := func() uint32 {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.generations[len(n.generations)-1]
	}
	before := last()
	run(t, "nft add table inet foreign; nft delete table inet foreign")
	run(t, "nft flush chain inet one1 to_host")
	fact(t, "put back", func() bool { return last() != before })
}

// A reload of many bridges tells of more than the keeper's socket holds: its own news, lost, must not make it reload.
func TestLostNewsOfOurOwnChangesIsNoChange(t *testing.T) {
	n := open(t, "news", segments(t))
	own := func(what string) {
		t.Helper()
		if !n.whole() {
			t.Error("taken for somebody else's change:", what)
		}
	}
	own("Open")
	if err := n.Limit("student", 3, Budget{Rate: 7}); err != nil {
		t.Fatal(err)
	}
	own("Limit")
	run(t, "nft flush chain inet news to_host")
	if err := n.Limit("student", 4, Budget{Rate: 7}); err != nil {
		t.Fatal(err)
	}
	if n.whole() {
		t.Error("a change of somebody else's is hidden by one of ours that followed")
	}
	if err := n.Reload(); err != nil {
		t.Fatal(err)
	}
	own("Reload")
}

// Who takes over from a killed runtime has a guard of its own, not the dying one of the other.
func TestTheGuardIsTakenOver(t *testing.T) {
	n := open(t, "heir", segments(t))
	first, killed := context.WithCancel(context.Background())
	gone := make(chan struct{})
	go func() { n.guard(first); close(gone) }()
	fact(t, "the guard stands", func() bool { ok, _ := n.guarded(); return ok })
	before := output(t, "nft", "-a", "list", "table", "inet", "heir_guard")
	keep(t, n) // sees the other's, and waits
	killed()
	<-gone
	fact(t, "another guard stands", func() bool {
		var now string
		return capture(&now, "nft", "-a", "list", "table", "inet", "heir_guard") == nil && now != before
	})
	fact(t, "it is whole", func() bool { ok, _ := n.guarded(); return ok })
}
