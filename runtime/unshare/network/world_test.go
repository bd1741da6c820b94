package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The first thread stays the test's own: /proc/self/ns/net shows its namespace, so no helper may move it.
func init() { runtime.LockOSThread() }

// TestMain runs everything in a network namespace of its own: it is the "host", and the machine is never touched.
func TestMain(m *testing.M) {
	if os.Getenv("NETWORK_TEST_INSIDE") != "" {
		// A new namespace begins with what the machine has set, and somebody's tests may be running there.
		for _, path := range forwarding {
			if err := setSysctl(path, "0"); err != nil {
				panic(err)
			}
		}
		knowIPv6()
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), "NETWORK_TEST_INSIDE=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests need root:", err)
		os.Exit(1)
	}
}

// knowIPv6 has package net look once whether there is IPv6, where there is. It remembers what it found when it was
// first asked, and in a namespace whose loopback is down it would find none.
func knowIPv6() {
	err := sh("ip link set lo up")
	if err == nil {
		var l net.Listener
		if l, err = net.Listen("tcp", "[::1]:0"); err == nil {
			err = l.Close()
		}
	}
	if err != nil {
		panic(err)
	}
}

func segments(t testing.TB) []Segment {
	t.Helper()
	s, err := DefaultSegments(netip.MustParsePrefix("10.64.0.0/14"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, instance string, s []Segment) *Network {
	t.Helper()
	return openConfig(t, Config{Instance: instance, Segments: s})
}

func openConfig(t testing.TB, c Config) *Network {
	t.Helper()
	c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	n, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// newNS makes a network namespace that lives as long as its file is open.
func newNS(t testing.TB) *os.File {
	t.Helper()
	f := make(chan *os.File)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		ns, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			t.Error(err)
		}
		f <- ns
	}()
	ns := <-f
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// in runs f on a thread of its own inside ns, on one processor so that frames keep their order.
func in(t testing.TB, ns *os.File, f func() error) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		var one unix.CPUSet
		one.Set(0)
		err := errors.Join(unix.SchedSetaffinity(0, &one), unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET))
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// site attaches a fresh namespace.
func site(t testing.TB, n *Network, id, segment string, slot int) (*os.File, Addr) {
	t.Helper()
	ns := newNS(t)
	if err := n.Attach(context.Background(), id, segment, slot, ns); err != nil {
		t.Fatal(err)
	}
	a, err := n.Addr(segment, slot)
	if err != nil {
		t.Fatal(err)
	}
	return ns, a
}

func listen(t testing.TB, ns *os.File, addr string) *net.TCPListener {
	t.Helper()
	var l net.Listener
	err := in(t, ns, func() (err error) { l, err = net.Listen("tcp", addr); return })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// greet answers each connection with the address it came from.
func greet(t testing.TB, ns *os.File, addr string) int {
	l := listen(t, ns, addr)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			io.WriteString(c, host)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// ask connects and returns the greeting.
func ask(t testing.TB, ns *os.File, addr string) (string, error) {
	t.Helper()
	return within(t, ns, addr, time.Minute)
}

// closed tells that a connection is refused, or that nothing comes back for a while.
func closed(t testing.TB, ns *os.File, addr string) bool {
	t.Helper()
	_, err := within(t, ns, addr, 300*time.Millisecond)
	return err != nil
}

func within(t testing.TB, ns *os.File, addr string, limit time.Duration) (greeting string, err error) {
	t.Helper()
	err = in(t, ns, func() error {
		c, err := net.DialTimeout("tcp", addr, limit)
		if err != nil {
			return err
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		greeting = string(b)
		return err
	})
	return greeting, err
}

// lost counts the first packets of TCP connections that the host had to send again.
func lost(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/net/netstat")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for i, name := range strings.Fields(lines[0]) {
		if name == "TCPSynRetrans" {
			n, err := strconv.Atoi(strings.Fields(lines[1])[i])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the kernel does not count TCPSynRetrans")
	return 0
}

func hostNS(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// world is what lies behind the host's uplink: an internet, the school's own servers and a cloud's metadata service.
func world(t testing.TB) *os.File {
	t.Helper()
	ns := newNS(t)
	run(t, fmt.Sprintf(`
		ip link add up0 type veth peer name eth0 netns /proc/%d/fd/%d
		sysctl -qw net.ipv6.conf.up0.accept_dad=0
		ip addr add 203.0.113.1/24 dev up0
		ip addr add 2001:db8::1/64 dev up0 nodad
		ip link set up0 up
		ip link set lo up`, os.Getpid(), ns.Fd()))
	t.Cleanup(func() { exec.Command("ip", "link", "del", "up0").Run() })
	err := in(t, ns, func() error {
		return sh(`
		sysctl -qw net.ipv6.conf.eth0.accept_dad=0
		ip addr add 203.0.113.2/24 dev eth0
		ip addr add 10.9.9.9/32 dev eth0
		ip addr add 169.254.169.254/32 dev eth0
		ip addr add 2001:db8::2/64 dev eth0 nodad
		ip addr add fd00:ec2::254/128 dev eth0 nodad
		ip link set eth0 up
		ip link set lo up
		ip route add default via 203.0.113.1
		ip -6 route add default via 2001:db8::1`)
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, `
		ip route replace default via 203.0.113.2
		ip -6 route replace default via 2001:db8::2`)
	return ns
}

func run(t testing.TB, script string) {
	t.Helper()
	if err := sh(script); err != nil {
		t.Fatal(err)
	}
}

func sh(script string) error {
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func output(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", argv, err, out)
	}
	return string(out)
}

// without loads the rules again with every line taken out that holds one of the words: the same attack must then
// pass, or the test would prove nothing.
func without(t *testing.T, n *Network, words ...string) {
	t.Helper()
	text, err := n.rules()
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	taken := 0
line:
	for _, l := range strings.Split(text, "\n") {
		for _, w := range words {
			if strings.Contains(l, w) {
				taken++
				continue line
			}
		}
		kept = append(kept, l)
	}
	if taken < len(words) {
		t.Fatalf("rules hold no %q", words)
	}
	n.mu.Lock()
	err = n.nft(strings.Join(kept, "\n"))
	n.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Reload(); err != nil {
			t.Error(err)
		}
	})
}

// bridgedFilter says whether frames inside a bridge also pass the inet rules, as Docker and some kernels have it.
// Without it each bridge rule stands alone.
func bridgedFilter(t testing.TB, value string) {
	t.Helper()
	for _, name := range []string{"arptables", "iptables", "ip6tables"} {
		if err := setSysctl("bridge/bridge-nf-call-"+name, value); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func capture(out *string, argv ...string) error {
	b, err := exec.Command(argv[0], argv[1:]...).Output()
	*out = string(b)
	return err
}
