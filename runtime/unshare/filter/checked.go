package filter

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// check is a call whose arguments decide. Its code runs with the number loaded and always ends in a verdict.
type check struct {
	call string
	code []bpf.Instruction
}

func (c check) assemble(number int) []bpf.Instruction {
	return append([]bpf.Instruction{when(uint32(number), uint8(len(c.code)))}, c.code...)
}

const (
	newSpaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	// What unshare may take apart, as a list of its own: a kernel that learns a new kind of namespace has a flag for it.
	ownThings = unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SYSVSEM | unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_THREAD
	typeMask  = 0xf // of socket(2): above it stand SOCK_CLOEXEC and SOCK_NONBLOCK
)

// personas are the execution domains a program may ask for: Linux, 32 bits, an old version number, and "which is it?".
// The others switch off the randomisation of addresses and the guard of page zero.
var personas = []uint32{0, 0x0008, 0x20000, 0x20008, 0xffffffff}

// terminals are the requests to a terminal that reach past it: typing into it as if its user had (CVE-2016-2568 and a
// dozen after), the host's console, and line disciplines, whose drivers the kernel would load for the asking (CVE-2017-2636).
var terminals = []uint32{unix.TIOCSTI, 0x541c /* TIOCLINUX */, unix.TIOCCONS, unix.TIOCSETD}

// tcpLayer is TCP_ULP, which x/sys/unix does not know.
const tcpLayer = 31

// layers refuses the two options that put another of the kernel's protocols on top of a plain socket: the same reach past
// the list of families (CVE-2023-0461 by TLS in TCP; ESP and L2TP in UDP). Programs encrypt by themselves.
func layers() []bpf.Instruction {
	return []bpf.Instruction{
		load(1),
		when(unix.IPPROTO_TCP, 4), load(2), when(tcpLayer, 1), noOption, pass,
		when(unix.IPPROTO_UDP, 3), load(2), when(unix.UDP_ENCAP, 1), noOption,
		pass,
	}
}

// devices are requests to a socket that have the kernel load the drivers of VLANs and of bridges, whoever asks.
var devices = []uint32{
	unix.SIOCGIFVLAN, unix.SIOCSIFVLAN, unix.SIOCGIFBR, unix.SIOCSIFBR, unix.SIOCBRADDBR, unix.SIOCBRDELBR,
	unix.SIOCBRADDIF, unix.SIOCBRDELIF,
}

// checks is every call whose arguments are looked at. The limits of a process are its own to change: init runs under the
// same user as the tenant's root, and without descriptors or memory it could no longer be asked for anything (RULE ENTER).
func checks(open []string) []check {
	shut := func(theme string, c ...check) []check {
		if slices.Contains(open, theme) {
			for i := range c {
				c[i].code = []bpf.Instruction{pass}
			}
		}
		return c
	}
	return slices.Concat(
		shut(Namespaces, check{"clone", noBits(0, newSpaces)}, check{"unshare", slices.Concat(noHigh(0), noBits(0, ^uint32(ownThings)))}),
		shut(Persona, check{"personality", oneOf(0, personas)}),
		[]check{{"ioctl", noneOf(1, requests(open))}},
		shut(Tracing, check{"prlimit64", []bpf.Instruction{load(0), when(0, 1), pass, eperm}}),
		[]check{{"socket", socket(open)}},
		shut(Protocols, check{"setsockopt", layers()}),
		shut(Families, check{"socketpair", []bpf.Instruction{load(0), when(unix.AF_UNIX, 1), pass, noFamily}}))
}

// requests are those that no program may make of a descriptor.
func requests(open []string) (all []uint32) {
	for theme, list := range map[string][]uint32{Terminals: terminals, Devices: devices} {
		if !slices.Contains(open, theme) {
			all = append(all, list...)
		}
	}
	return all
}

// noHigh refuses an argument of more than 32 bits. The kernel cuts those of other calls off.
func noHigh(arg uint32) []bpf.Instruction {
	return []bpf.Instruction{bpf.LoadAbsolute{Off: offArgs + 8*arg + 4, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, eperm}
}

func noBits(arg, mask uint32) []bpf.Instruction {
	return []bpf.Instruction{load(arg), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: mask, SkipFalse: 1}, eperm, pass}
}

func oneOf(arg uint32, values []uint32) []bpf.Instruction {
	code := []bpf.Instruction{load(arg)}
	for _, v := range values {
		code = append(code, when(v, 1), pass)
	}
	return append(code, eperm)
}

func noneOf(arg uint32, values []uint32) []bpf.Instruction {
	code := []bpf.Instruction{load(arg)}
	for _, v := range values {
		code = append(code, when(v, 1), eperm)
	}
	return append(code, pass)
}

// socket lets through unix sockets, plain TCP, UDP and ping over both versions of IP, and the netlink by which programs
// read their own addresses. Any other family or protocol would have the kernel load its module for the asking, and the
// last universal exploits came through such modules (AF_ALG CVE-2026-31431, RxRPC CVE-2026-43500, DCCP CVE-2017-6074,
// SCTP, TIPC, vsock). Raw ones are refused a second time by the missing capability.
//
// A type and a protocol that do not belong together are refused for the same reason: there is no module for TCP by
// datagrams, but to find out the kernel runs the host's modprobe twice, in nobody's budget.
//
// With a part open: no look at families also means none at protocols, which belong to families.
func socket(open []string) []bpf.Instruction {
	if slices.Contains(open, Families) {
		return []bpf.Instruction{pass}
	}
	v4, v6 := protocols(unix.IPPROTO_ICMP), protocols(unix.IPPROTO_ICMPV6)
	if slices.Contains(open, Protocols) {
		v4, v6 = []bpf.Instruction{pass}, []bpf.Instruction{pass}
	}
	return slices.Concat(
		[]bpf.Instruction{
			load(0), when(unix.AF_UNIX, 1), pass,
			when(unix.AF_NETLINK, 4), load(2), when(unix.NETLINK_ROUTE, 1), pass, noFamily,
			when(unix.AF_INET, uint8(len(v4))),
		},
		v4,
		[]bpf.Instruction{when(unix.AF_INET6, uint8(len(v6)))},
		v6,
		[]bpf.Instruction{noFamily})
}

// protocols are those of one version of IP, each with its type; ping is that version's own.
func protocols(ping uint32) []bpf.Instruction {
	stream := belongs(unix.IPPROTO_IP, unix.IPPROTO_TCP)
	datagram := belongs(unix.IPPROTO_IP, unix.IPPROTO_UDP, ping)
	return slices.Concat(
		[]bpf.Instruction{
			load(1),
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: typeMask},
			when(unix.SOCK_RAW, 1), eperm,
			when(unix.SOCK_STREAM, uint8(len(stream))),
		},
		stream,
		[]bpf.Instruction{when(unix.SOCK_DGRAM, uint8(len(datagram)))},
		datagram,
		[]bpf.Instruction{noProtocol})
}

func belongs(all ...uint32) []bpf.Instruction {
	code := []bpf.Instruction{load(2)}
	for _, p := range all {
		code = append(code, when(p, 1), pass)
	}
	return append(code, noProtocol)
}
