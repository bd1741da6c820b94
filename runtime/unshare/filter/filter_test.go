package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

var bothArchs = []*arch.Info{arch.X86_64, arch.AARCH64}

func everyName() map[string][]string {
	seen := map[string][]string{}
	for kind, groups := range map[string][]group{"allowed": allowed, "refused": refused, "absent": absent} {
		for _, g := range groups {
			for _, name := range g.names() {
				seen[name] = append(seen[name], kind+"/"+g.theme)
			}
		}
	}
	for _, c := range checks(nil) {
		seen[c.call] = append(seen[c.call], "checked")
	}
	return seen
}

func TestEveryCallIsDecidedOnce(t *testing.T) {
	seen := everyName()
	for _, info := range bothArchs {
		for name := range info.SyscallNames {
			if !strings.HasSuffix(name, "_time64") && !strings.HasSuffix(name, "64") && len(seen[name]) != 1 {
				t.Errorf("%s on %s stands in %d places %v", name, info.Name, len(seen[name]), seen[name])
			}
		}
	}
	for name := range seen {
		_, x := arch.X86_64.SyscallNames[name]
		if _, a := arch.AARCH64.SyscallNames[name]; !x && !a {
			t.Errorf("%s is no call of any processor: a slip of the pen would decide nothing", name)
		}
	}
}

func TestEveryRefusalSaysWhy(t *testing.T) {
	for _, g := range append(refused, absent...) {
		if len(g.why) < 20 {
			t.Errorf("%s: %q", g.theme, g.why)
		}
	}
}

// ask runs the program as the kernel would. The instructions are the same; only the byte order of loads differs.
func ask(t *testing.T, open []string, archID, number uint32, args ...uint64) string {
	t.Helper()
	prog, err := Program(open...)
	if err != nil {
		t.Fatal(err)
	}
	if len(prog) > 4096 {
		t.Fatalf("%d instructions: the kernel takes 4096", len(prog))
	}
	var raw []bpf.RawInstruction
	for _, f := range prog {
		raw = append(raw, bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K})
	}
	code, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("not a program")
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64)
	put := func(off int, v uint32) {
		data[off], data[off+1], data[off+2], data[off+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	put(offNumber, number)
	put(offArch, archID)
	for i, a := range args {
		put(offArgs+8*i, uint32(a))
		put(offArgs+8*i+4, uint32(a>>32))
	}
	n, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	switch v := uint32(n); {
	case v == unix.SECCOMP_RET_ALLOW:
		return "pass"
	case v&0xffff0000 == unix.SECCOMP_RET_ERRNO:
		return unix.ErrnoName(unix.Errno(v & 0xffff))
	default:
		return fmt.Sprintf("%#x", v)
	}
}

func TestVerdicts(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	n := func(name string) uint32 { return uint32(info.SyscallNames[name]) }
	for _, c := range []struct {
		what   string
		number uint32
		args   []uint64
		want   string
	}{
		{"read", n("read"), nil, "pass"},
		{"the last of a run", n("preadv2"), nil, "pass"},
		{"fork by clone", n("clone"), []uint64{uint64(unix.SIGCHLD)}, "pass"},
		{"a thread", n("clone"), []uint64{0x3d0f00}, "pass"},
		{"a new user namespace", n("clone"), []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, "EPERM"},
		{"one of several namespaces", n("unshare"), []uint64{unix.CLONE_FILES | unix.CLONE_NEWNET}, "EPERM"},
		{"new time", n("unshare"), []uint64{unix.CLONE_NEWTIME}, "EPERM"},
		{"a namespace of tomorrow", n("unshare"), []uint64{0x0010_0000}, "EPERM"},
		{"a namespace under a high half", n("unshare"), []uint64{1 << 40}, "EPERM"},
		{"everybody's write-back", n("sync"), nil, "ENOSYS"},
		{"its own write-back", n("syncfs"), nil, "pass"},
		{"giving pages away", n("vmsplice"), nil, "EPERM"},
		{"a descriptor table", n("modify_ldt"), nil, "EPERM"},
		{"unshare files", n("unshare"), []uint64{unix.CLONE_FILES}, "pass"},
		{"clone3", n("clone3"), nil, "ENOSYS"},
		{"a call of tomorrow", 999, nil, "ENOSYS"},
		{"mount", n("mount"), nil, "EPERM"},
		{"io_uring", n("io_uring_setup"), nil, "EPERM"},
		{"read by x32", x32 | n("read"), nil, "ENOSYS"},
		{"unix", n("socket"), []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET | unix.SOCK_CLOEXEC}, "pass"},
		{"tcp", n("socket"), []uint64{unix.AF_INET6, unix.SOCK_STREAM | unix.SOCK_NONBLOCK, unix.IPPROTO_TCP}, "pass"},
		{"udp", n("socket"), []uint64{unix.AF_INET, unix.SOCK_DGRAM}, "pass"},
		{"ping", n("socket"), []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, "pass"},
		{"raw", n("socket"), []uint64{unix.AF_INET, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP}, "EPERM"},
		{"ping by the other version", n("socket"), []uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, "EPROTONOSUPPORT"},
		{"ping of version six", n("socket"), []uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6}, "pass"},
		{"tcp by datagrams", n("socket"), []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_TCP}, "EPROTONOSUPPORT"},
		{"ping by a stream", n("socket"), []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_ICMP}, "EPROTONOSUPPORT"},
		{"no type", n("socket"), []uint64{unix.AF_INET, 0}, "EPROTONOSUPPORT"},
		{"sctp", n("socket"), []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, "EPROTONOSUPPORT"},
		{"sctp by its type", n("socket"), []uint64{unix.AF_INET, unix.SOCK_SEQPACKET}, "EPROTONOSUPPORT"},
		{"mptcp", n("socket"), []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, "EPROTONOSUPPORT"},
		{"route netlink", n("socket"), []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, "pass"},
		{"netfilter netlink", n("socket"), []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, "EAFNOSUPPORT"},
		{"algorithms", n("socket"), []uint64{unix.AF_ALG, unix.SOCK_SEQPACKET}, "EAFNOSUPPORT"},
		{"packets", n("socket"), []uint64{unix.AF_PACKET, unix.SOCK_RAW}, "EAFNOSUPPORT"},
		{"packets under a high half", n("socket"), []uint64{1<<32 | unix.AF_PACKET, unix.SOCK_RAW}, "EAFNOSUPPORT"},
		{"a pair", n("socketpair"), []uint64{unix.AF_UNIX}, "pass"},
		{"a pair of another family", n("socketpair"), []uint64{unix.AF_TIPC}, "EAFNOSUPPORT"},
		{"an option of a socket", n("setsockopt"), []uint64{3, unix.SOL_SOCKET, unix.SO_REUSEADDR}, "pass"},
		{"an option of TCP", n("setsockopt"), []uint64{3, unix.IPPROTO_TCP, unix.TCP_NODELAY}, "pass"},
		{"a layer over TCP", n("setsockopt"), []uint64{3, unix.IPPROTO_TCP, tcpLayer}, "ENOPROTOOPT"},
		{"that number elsewhere", n("setsockopt"), []uint64{3, unix.SOL_SOCKET, tcpLayer}, "pass"},
		{"an option of UDP", n("setsockopt"), []uint64{3, unix.IPPROTO_UDP, unix.UDP_SEGMENT}, "pass"},
		{"a layer over UDP", n("setsockopt"), []uint64{3, unix.IPPROTO_UDP, unix.UDP_ENCAP}, "ENOPROTOOPT"},
		{"its own limits", n("prlimit64"), []uint64{0, unix.RLIMIT_NOFILE}, "pass"},
		{"the limits of init", n("prlimit64"), []uint64{1, unix.RLIMIT_NOFILE}, "EPERM"},
		{"typing into a terminal", n("ioctl"), []uint64{0, unix.TIOCSTI}, "EPERM"},
		{"typing under a high half", n("ioctl"), []uint64{0, 1<<32 | unix.TIOCSTI}, "EPERM"},
		{"asking a terminal", n("ioctl"), []uint64{0, unix.TCGETS}, "pass"},
		{"asking a socket's card", n("ioctl"), []uint64{0, unix.SIOCGIFCONF}, "pass"},
		{"asking for a vlan", n("ioctl"), []uint64{0, unix.SIOCGIFVLAN}, "EPERM"},
		{"making a bridge", n("ioctl"), []uint64{0, unix.SIOCBRADDBR}, "EPERM"},
		{"plain persona", n("personality"), []uint64{0}, "pass"},
		{"which persona", n("personality"), []uint64{0xffffffff}, "pass"},
		{"no randomisation", n("personality"), []uint64{0x0040000}, "EPERM"},
	} {
		if got := ask(t, nil, uint32(info.ID), c.number, c.args...); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	if got := ask(t, nil, uint32(arch.I386.ID), 3); got != "ENOSYS" {
		t.Errorf("a call by another processor's numbers: %s", got)
	}
}

func TestASwitchOpensItsPartOnly(t *testing.T) {
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string][]uint64{
		Mounts: {uint64(info.SyscallNames["mount"])}, BPF: {uint64(info.SyscallNames["bpf"])}, Keys: {uint64(info.SyscallNames["keyctl"])},
		IOURing: {uint64(info.SyscallNames["io_uring_setup"])}, Tracing: {uint64(info.SyscallNames["kcmp"])},
		Machine: {uint64(info.SyscallNames["reboot"])}, Surface: {uint64(info.SyscallNames["perf_event_open"])},
		Hidden: {uint64(info.SyscallNames["clone3"])}, Shared: {uint64(info.SyscallNames["io_setup"])},
		Namespaces: {uint64(info.SyscallNames["unshare"]), unix.CLONE_NEWUSER}, Persona: {uint64(info.SyscallNames["personality"]), 0x40000},
		Terminals: {uint64(info.SyscallNames["ioctl"]), 0, unix.TIOCSTI}, Devices: {uint64(info.SyscallNames["ioctl"]), 0, unix.SIOCBRADDBR},
		Pages:    {uint64(info.SyscallNames["cachestat"])},
		Segments: {uint64(info.SyscallNames["remap_file_pages"])}, Families: {uint64(info.SyscallNames["socket"]), unix.AF_ALG, 5},
		Protocols: {uint64(info.SyscallNames["socket"]), unix.AF_INET, 5}, Foreign: {uint64(x32)},
	}
	for open := range calls {
		for theme, c := range calls {
			want := theme == open || open == Families && theme == Protocols
			if got := ask(t, []string{open}, uint32(info.ID), uint32(c[0]), c[1:]...); (got == "pass") != want {
				t.Errorf("with %s open, %s answers %s", open, theme, got)
			}
		}
	}
}
