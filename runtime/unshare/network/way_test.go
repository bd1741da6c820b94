package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// standIn makes VLANs of veth pairs whose other ends lie in the world, where eth0.ID is. It stands in for 802.1Q where
// the kernel has none; all but the tag on the wire is proven just as well.
type standIn struct{ world *os.File }

func (standIn) kind() string { return "veth" }

func (s standIn) add(h *netlink.Handle, attrs netlink.LinkAttrs, id int) error {
	attrs.ParentIndex = 0
	return h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: far(id), PeerNamespace: netlink.NsFd(int(s.world.Fd()))})
}

func (standIn) carries(l netlink.Link, _, id int) bool {
	return l.Type() == "veth" && strings.HasSuffix(l.Attrs().Name, "."+strconv.Itoa(id))
}

func far(id int) string { return "eth0." + strconv.Itoa(id) }

// trunkHere is what makes VLANs on this kernel: nil is 802.1Q itself.
func trunkHere(t *testing.T, w *os.File) trunk {
	t.Helper()
	err := in(t, w, func() error { return sh("ip link add link eth0 name trial type vlan id 4000 && ip link del trial") })
	if err == nil {
		t.Log("VLANs are 802.1Q here")
		return nil
	}
	t.Log("this kernel has no 802.1Q, so veth pairs stand in for VLANs:", err)
	return standIn{w}
}

// router is who answers in a VLAN of the world. Made again with its link.
func router(t *testing.T, w *os.File, tr trunk, s Segment) {
	t.Helper()
	make := "true"
	if tr == nil {
		make = fmt.Sprintf("ip link show %[1]s >/dev/null 2>&1 || ip link add link eth0 name %[1]s type vlan id %[2]d", far(s.VLAN), s.VLAN)
	}
	err := in(t, w, func() error {
		return sh(fmt.Sprintf(`%s
			ip addr replace %s/25 dev %[4]s
			ip addr replace %[3]s/64 dev %[4]s nodad
			ip link set %[4]s up`, make, s.Gateway4, s.Gateway6, far(s.VLAN)))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// school is a world with the VLANs of teach, and its network.
func school(t *testing.T, instance string) (w *os.File, tr trunk, n *Network) {
	t.Helper()
	w = world(t)
	greet(t, w, at("::", 80))
	tr = trunkHere(t, w)
	n = openConfig(t, Config{Instance: instance, Segments: teach(segments(t)), trunk: tr})
	for _, s := range n.segments[:2] {
		router(t, w, tr, s)
	}
	return w, tr, n
}

// outside is a host of the internet: by whatever way a packet comes, it says where from.
var outside = []string{at("203.0.113.2", 80), at("2001:db8::2", 80)}

// leavesAs fails unless connections to the world are seen there with these sources, IPv4 and IPv6.
func leavesAs(t *testing.T, ns *os.File, sources ...string) {
	t.Helper()
	for i, to := range outside {
		if seen, err := ask(t, ns, to); err != nil || netip.MustParseAddr(seen).Unmap().String() != sources[i] {
			t.Fatalf("%s: seen as %q, want %s: %v", to, seen, sources[i], err)
		}
	}
}

func TestEachSegmentLeavesByItsOwnVLAN(t *testing.T) {
	w, tr, n := school(t, "lanes")
	student, _ := site(t, n, "aaaaaaaaaa", "student", 3)
	teacher, _ := site(t, n, "bbbbbbbbbb", "teacher", 4)
	club, _ := site(t, n, "cccccccccc", "association", 5)
	wire := tags(t, w, tr, 7, 8)
	leavesAs(t, teacher, "198.51.100.1", "2001:db8:7::1")
	if got := wire(); got[7] < 2 || len(got) != 1 { // more if one was sent again
		t.Error("connections of a teacher, by their tag:", got)
	}
	leavesAs(t, student, "198.51.100.129", "2001:db8:8::1")
	if got := wire(); got[8] < 2 || len(got) != 1 { // more if one was sent again
		t.Error("connections of a student, by their tag:", got)
	}
	leavesAs(t, club, "203.0.113.1", "2001:db8::1")
	if got := wire(); got[0] < 2 || len(got) != 1 { // more if one was sent again
		t.Error("connections of an association, by their tag:", got)
	}
	// The host speaks to its sites as ever: the table sends it back to the bridges.
	a, _ := n.Addr("teacher", 4)
	port := greet(t, teacher, ":0")
	for _, ip := range []netip.Addr{a.V4, a.V6} {
		if _, err := ask(t, hostNS(t), at(ip, port)); err != nil {
			t.Error("the host does not reach a site:", err)
		}
	}
}

// tags counts the connections that arrive in the world, by the tag of their first packet as it is on the wire; 0 is none.
// Each call counts from the one before.
func tags(t *testing.T, w *os.File, tr trunk, ids ...int) func() map[int]int {
	t.Helper()
	taps := map[int]int{sniffTags(t, w, "eth0"): 0}
	if tr != nil { // each has a wire of its own there
		for _, id := range ids {
			taps[sniffTags(t, w, far(id))] = id
		}
	}
	return func() map[int]int {
		seen := map[int]int{}
		for fd, wire := range taps {
			for id, n := range readTags(t, fd) {
				seen[wire+id] += n
			}
		}
		return seen
	}
}

func sniffTags(t *testing.T, w *os.File, link string) int {
	t.Helper()
	fd := sniff(t, w, link)
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1), unix.SetNonblock(fd, true)); err != nil {
		t.Fatal(err)
	}
	return fd
}

// readTags reads what has come in so far. A connection that was answered has been seen here before.
func readTags(t *testing.T, fd int) map[int]int {
	t.Helper()
	seen := map[int]int{}
	buf, oob := make([]byte, 2048), make([]byte, 256)
	for {
		k, ok, _, from, err := unix.Recvmsg(fd, buf, oob, 0)
		if errors.Is(err, unix.EAGAIN) {
			return seen
		}
		if err != nil {
			t.Fatal(err)
		}
		if ll, is := from.(*unix.SockaddrLinklayer); is && ll.Pkttype != unix.PACKET_OUTGOING && isSYN(buf[:k]) {
			seen[tagOf(t, oob[:ok])]++
		}
	}
}

func tagOf(t *testing.T, oob []byte) int {
	t.Helper()
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA {
			aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
			if aux.Status&unix.TP_STATUS_VLAN_VALID != 0 {
				return int(aux.Vlan_tci & 0xfff)
			}
		}
	}
	return 0
}

// isSYN tells the first packet of a connection to port 80, without options of IP.
func isSYN(frame []byte) bool {
	if len(frame) < 14 {
		return false
	}
	kind, p := int(frame[12])<<8|int(frame[13]), frame[14:]
	switch {
	case kind == unix.ETH_P_IP && len(p) >= 40 && p[9] == unix.IPPROTO_TCP:
		p = p[20:]
	case kind == unix.ETH_P_IPV6 && len(p) >= 60 && p[6] == unix.IPPROTO_TCP:
		p = p[40:]
	default:
		return false
	}
	return p[2] == 0 && p[3] == 80 && p[13]&0x12 == 2
}

func TestAVLANIsItsSegmentsAlone(t *testing.T) {
	w, _, n := school(t, "alone")
	club, _ := site(t, n, "cccccccccc", "association", 5)
	port := greet(t, hostNS(t), ":0")
	run(t, "ip route add 198.51.100.2/32 dev up0.7")
	if !closed(t, club, at("198.51.100.2", 80)) {
		t.Error("an association leaves by the teachers' VLAN")
	}
	for _, to := range []string{at("198.51.100.1", port), at("2001:db8:7::1", port)} {
		if !closed(t, w, to) {
			t.Error("a service of the host answers in the VLAN:", to)
		}
	}
	if err := in(t, w, func() error { return sh("ip route add 203.0.113.130/32 via 198.51.100.1") }); err != nil {
		t.Fatal(err)
	}
	side(t)
	without(t, n, "no router before us") // as on a host that was a router
	if !closed(t, w, at("203.0.113.130", 80)) {
		t.Error("the host routes from the VLAN")
	}
	without(t, n, "a segment's own", "goto from_vlan", "no router before us")
	for what, c := range map[string]struct {
		from *os.File
		to   string
	}{
		"out by another's VLAN": {club, at("198.51.100.2", 80)}, "to the host": {w, at("198.51.100.1", port)},
		"to the host by IPv6": {w, at("2001:db8:7::1", port)}, "through the host": {w, at("203.0.113.130", 80)},
	} {
		if _, err := ask(t, c.from, c.to); err != nil {
			t.Errorf("%s, without the rule: %v: the test proves nothing", what, err)
		}
	}
}

// side is another net of the host, where 203.0.113.130 answers.
func side(t *testing.T) {
	t.Helper()
	ns := newNS(t)
	run(t, fmt.Sprintf(`ip link add side0 type veth peer name eth0 netns /proc/%d/fd/%d
		ip addr add 203.0.113.129/25 dev side0; ip link set side0 up`, os.Getpid(), ns.Fd()))
	t.Cleanup(func() { exec.Command("ip", "link", "del", "side0").Run() })
	err := in(t, ns, func() error {
		return sh("ip addr add 203.0.113.130/25 dev eth0; ip link set eth0 up; ip route add default via 203.0.113.129")
	})
	if err != nil {
		t.Fatal(err)
	}
	greet(t, ns, at("::", 80))
}

// lanes is what the host holds for VLANs.
func lanes(t *testing.T, n *Network) string {
	t.Helper()
	all := output(t, "ip", "-o", "link", "show", "group", strconv.Itoa(int(group(n.instance))))
	all += output(t, "ip", "rule") + output(t, "ip", "-6", "rule")
	for _, v := range vlans(n.instance, teach(segments(t)), true) {
		for _, family := range []string{"-4", "-6"} {
			out, _ := exec.Command("ip", family, "route", "show", "table", strconv.Itoa(v.table)).Output() // absent is none
			all += string(out)
		}
	}
	return all
}

func TestVLANsOutliveTheProcessAndFollowTheConfiguration(t *testing.T) {
	w := world(t)
	was := output(t, "ip", "rule") + output(t, "ip", "-6", "rule")
	tr := trunkHere(t, w)
	c := Config{Instance: "adopts", Segments: teach(segments(t)), trunk: tr}
	first := openConfig(t, c)
	before := lanes(t, first)
	if !strings.Contains(before, "up0.7") || !strings.Contains(before, "up0.8") {
		t.Fatal(before)
	}
	second := openConfig(t, c)
	if after := lanes(t, second); after != before {
		t.Fatalf("not adopted as it stood:\n%s\nthen:\n%s", before, after)
	}
	// Another address of the teachers; the students' VLAN is given up.
	c.Segments = teach(segments(t))
	c.Segments[1].Address4 = netip.MustParsePrefix("198.51.100.9/25")
	c.Segments[0] = segments(t)[0]
	third := openConfig(t, c)
	after := lanes(t, third)
	if !strings.Contains(after, "from 198.51.100.9 ") || strings.Contains(after, "up0.8") ||
		strings.Contains(after, "from 198.51.100.1 ") || strings.Contains(after, strconv.Itoa(table("adopts", "student"))) {
		t.Fatal(after)
	}
	if addrs := output(t, "ip", "-o", "addr", "show", "up0.7"); strings.Contains(addrs, "198.51.100.1/") || !strings.Contains(addrs, "198.51.100.9/25") {
		t.Fatal(addrs)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if left := lanes(t, third); left != was {
		t.Fatalf("after Close:\n%s", left)
	}
}

func TestAVLANOfSomebodyElseIsLeftAlone(t *testing.T) {
	w := world(t)
	run(t, "ip link add up0.7 type bridge")
	t.Cleanup(func() { run(t, "ip link del up0.7") })
	_, err := Open(Config{Instance: "foreign", Segments: teach(segments(t)), trunk: trunkHere(t, w)})
	if err == nil || !strings.Contains(err.Error(), "up0.7 exists and is not ours") {
		t.Fatal(err)
	}
	if left := output(t, "ip", "-o", "link"); !strings.Contains(left, "up0.7") || strings.Contains(left, "up0.8") || strings.Contains(left, "foreign_") {
		t.Fatal(left)
	}
	if rules := output(t, "ip", "rule"); strings.Contains(rules, "8800:") {
		t.Fatal(rules)
	}
}

func TestWhyAVLANDoesNotCarryIsSaid(t *testing.T) {
	all := teach(segments(t))
	if _, err := Open(Config{Instance: "absent", Segments: all}); err == nil || !strings.Contains(err.Error(), "segment student: vlan 8: uplink up0") {
		t.Error(err)
	}
	if err := Look(all); err == nil || !strings.Contains(err.Error(), "segment teacher: up0: ") {
		t.Error(err)
	}
	w := world(t)
	// Either the kernel has them, and they carry, or it says which module it lacks.
	if trunkHere(t, w) == nil {
		openConfig(t, Config{Instance: "carries", Segments: all})
		if err := Look(all); err != nil {
			t.Error(err)
		}
		run(t, "ip link set up0 down")
		if err := Look(all); err == nil || !strings.Contains(err.Error(), "up0 is down") {
			t.Error(err)
		}
		return
	}
	if _, err := Open(Config{Instance: "lacks", Segments: all}); !errors.Is(err, errNoVLAN) {
		t.Error(err)
	}
	if err := Look(all); !errors.Is(err, errNoVLAN) {
		t.Error(err)
	}
	if left := output(t, "nft", "list", "tables"); strings.Contains(left, "lacks") {
		t.Error(left)
	}
}
