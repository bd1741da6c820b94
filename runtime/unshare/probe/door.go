package probe

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// doors are rights over the machine, and over other processes.
var doors = []Probe{
	{Name: "new user namespace", Kind: Escape, About: "a namespace in which one has every right", Wall: "seccomp:namespaces", Also: []string{"namespace ceilings"}, try: newUserSpace},
	{Name: "unshare", Kind: Surface, About: "new namespaces one by one", Wall: "seccomp:namespaces", try: takeApart},
	{Name: "setns", Kind: Surface, About: "joining namespaces", Wall: "seccomp:namespaces", try: direct(unix.SYS_SETNS, minus, 0)},
	{Name: "clone3", Kind: Surface, About: "namespace flags where no filter sees them", Wall: "seccomp:hidden flags", try: direct(unix.SYS_CLONE3, 0, 0)},
	{Name: "ptrace", Kind: Surface, About: "tracing another program", Wall: "seccomp:tracing", try: direct(unix.SYS_PTRACE, unix.PTRACE_SEIZE, nobody, 0, 0)},
	{Name: "process_vm_readv", Kind: Surface, About: "reading another program's memory", Wall: "seccomp:tracing", try: direct(unix.SYS_PROCESS_VM_READV, nobody, 0, 1, 0, 1, 0)},
	{Name: "pidfd_getfd", Kind: Surface, About: "taking another program's descriptors", Wall: "seccomp:tracing", try: direct(unix.SYS_PIDFD_GETFD, minus, 0, 0)},
	{Name: "kcmp", Kind: Surface, About: "comparing kernel objects of others", Wall: "seccomp:tracing", try: direct(unix.SYS_KCMP, nobody, nobody, 0, 0, 0)},
	{Name: "limits of init", Kind: Surface, About: "how many descriptors and how much memory petitpont-init may have", Wall: "seccomp:tracing", Who: RootOnly, try: direct(unix.SYS_PRLIMIT64, 1, unix.RLIMIT_NOFILE, 0, 0)},
	{Name: "load a module", Kind: Escape, About: "code into the kernel", Wall: "seccomp:machine", Also: []string{"user namespace", "capability SYS_MODULE"}, Who: RootOnly, try: direct(unix.SYS_FINIT_MODULE, minus, 0, 0)},
	{Name: "kexec", Kind: Escape, About: "another kernel", Wall: "seccomp:machine", Also: []string{"user namespace", "capability SYS_BOOT"}, Who: RootOnly, try: direct(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0x4000)},
	{Name: "reboot", Kind: Escape, About: "with a number that is not the magic one", Wall: "seccomp:machine", Also: []string{"capability SYS_BOOT"}, Who: RootOnly, try: direct(unix.SYS_REBOOT, 1, 2, 3, 0)},
	{Name: "clock", Kind: Escape, About: "setting the time to nothing", Wall: "seccomp:machine", Also: []string{"user namespace", "capability SYS_TIME"}, Who: RootOnly, try: direct(unix.SYS_SETTIMEOFDAY, 0, 0)},
	{Name: "swap", Kind: Escape, About: "adding swap from a file", Wall: "seccomp:machine", Also: []string{"user namespace", "capability SYS_ADMIN"}, Who: RootOnly, try: func(World) (string, error) {
		return reached(call(unix.SYS_SWAPON, text("/petitpont-no-such-file"), 0)), nil
	}},
	{Name: "host name", Kind: Surface, About: "another name for the machine", Wall: "seccomp:machine", Also: []string{"capability SYS_ADMIN"}, Who: RootOnly, try: direct(unix.SYS_SETHOSTNAME, 0, minus)},
	{Name: "kernel log", Kind: Leak, About: "dmesg", Wall: "seccomp:machine", Also: []string{"user namespace", "capability SYSLOG"}, try: direct(unix.SYS_SYSLOG, 10, 0, 0)},
	{Name: "file handles", Kind: Escape, About: "opening a file by its number (the \"shocker\" escape)", Wall: "seccomp:surface", Also: []string{"user namespace", "capability DAC_READ_SEARCH"}, Who: RootOnly, try: direct(unix.SYS_OPEN_BY_HANDLE_AT, minus, 0, 0)},
}

// surfaces are parts of the kernel with a history. They are called with arguments that do nothing.
var surfaces = []Probe{
	{Name: "bpf", Kind: Surface, About: "programs in the kernel", Wall: "seccomp:bpf", try: func(World) (string, error) {
		var attr [64]byte
		return reached(call(unix.SYS_BPF, 9999, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))), nil
	}},
	{Name: "io_uring", Kind: Surface, About: "work past the filter", Wall: "seccomp:io_uring", try: direct(unix.SYS_IO_URING_SETUP, 1, 0)},
	{Name: "keyrings", Kind: Surface, About: "keys that no namespace divides", Wall: "seccomp:keys", try: direct(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, uintptr(sessionKeyring), 0)},
	{Name: "perf", Kind: Surface, About: "counters of the processor", Wall: "seccomp:surface", try: direct(unix.SYS_PERF_EVENT_OPEN, 0, 0, minus, minus, 1<<30)},
	{Name: "userfaultfd", Kind: Surface, About: "stopping the kernel at a page", Wall: "seccomp:surface", try: direct(unix.SYS_USERFAULTFD, 1|1<<30)},
	{Name: "fanotify", Kind: Surface, About: "watching a whole file system", Wall: "seccomp:surface", try: direct(unix.SYS_FANOTIFY_INIT, unix.FAN_REPORT_FID|1<<30, 0)},
	{Name: "moving pages", Kind: Surface, About: "where other programs' memory lies", Wall: "seccomp:surface", try: direct(unix.SYS_MOVE_PAGES, nobody, 0, 0, 0, 0, 1<<30)},
	{Name: "asynchronous io", Kind: Surface, About: "a number that the whole host shares", Wall: "seccomp:shared numbers", try: direct(unix.SYS_IO_SETUP, 0, 0)},
	{Name: "socket families", Kind: Surface, About: "AF_ALG, VSOCK, KEY, RXRPC, TIPC and 35 more", Wall: "seccomp:families", try: families},
	{Name: "packet socket", Kind: Neighbour, About: "frames as one likes", Wall: "seccomp:families", Also: []string{"capability NET_RAW"}, try: func(World) (string, error) {
		return reached(openSocket(unix.AF_PACKET, unix.SOCK_RAW, 0), unix.EAFNOSUPPORT), nil
	}},
	{Name: "netlink families", Kind: Surface, About: "netfilter, audit, xfrm, uevents", Wall: "seccomp:families", try: netlinks},
	{Name: "protocols", Kind: Surface, About: "SCTP, DCCP, MPTCP and others whose modules load for the asking", Wall: "seccomp:protocols", try: protocols},
	{Name: "layers over sockets", Kind: Surface, About: "the kernel's own TLS in TCP, its ESP and L2TP in UDP", Wall: "seccomp:protocols", try: layers},
	{Name: "raw socket", Kind: Neighbour, About: "IP packets as one likes", Wall: "capability NET_RAW", Also: []string{"seccomp:protocols"}, Who: RootOnly, try: func(World) (string, error) {
		return reached(openSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP), unix.EPROTONOSUPPORT), nil
	}},
	{Name: "VLAN requests", Kind: Surface, About: "a request to a socket that loads a driver", Wall: "seccomp:devices", try: vlans},
	{Name: "shared pages", Kind: Surface, About: "cachestat, vmsplice: what others have read, pages given away", Wall: "seccomp:pages", try: direct(unix.SYS_VMSPLICE, minus, 0, 0, 0)},
	{Name: "old memory calls", Kind: Surface, About: "remap_file_pages, modify_ldt", Wall: "seccomp:segments", try: direct(unix.SYS_REMAP_FILE_PAGES, 0, 0, 1, 0, 0)},
	{Name: "typing into a terminal", Kind: Surface, About: "TIOCSTI, TIOCLINUX, TIOCSETD", Wall: "seccomp:terminals", try: typing},
	{Name: "personality", Kind: Surface, About: "addresses without randomisation", Wall: "seccomp:personality", try: direct(unix.SYS_PERSONALITY, 0x0040000)},
	{Name: "other system calls", Kind: Surface, About: "calls by 32-bit numbers, past the list", Wall: "seccomp:foreign", try: foreign},
}

const sessionKeyring = ^uint64(2) // KEY_SPEC_SESSION_KEYRING, -3

// direct calls the kernel with these arguments.
func direct(n uintptr, args ...uintptr) func(World) (string, error) {
	return func(World) (string, error) { return reached(call(n, args...)), nil }
}

func newUserSpace(World) (string, error) {
	p, err := os.StartProcess("/proc/self/exe", []string{"petitpont-box", "probe", "nothing"},
		&os.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}})
	if err != nil {
		return reached(errnoOf(err), unix.ENOSPC), nil
	}
	_, err = p.Wait()
	return "made one", err
}

// takeApart asks for each kind of namespace alone. A program of several threads gets no user namespace, but the kernel
// has to look to say so.
func takeApart(World) (string, error) {
	for _, flag := range []uintptr{
		unix.CLONE_NEWUSER, unix.CLONE_NEWNS, unix.CLONE_NEWPID, unix.CLONE_NEWNET, unix.CLONE_NEWIPC, unix.CLONE_NEWUTS,
		unix.CLONE_NEWCGROUP, unix.CLONE_NEWTIME,
	} {
		if got := reached(call(unix.SYS_UNSHARE, flag), unix.ENOSPC); got != "" {
			return got, nil
		}
	}
	return "", nil
}

func vlans(World) (string, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(s) }()
	return reached(call(unix.SYS_IOCTL, uintptr(s), unix.SIOCGIFVLAN, 0)), nil
}

func openSocket(family, kind, protocol int) unix.Errno {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return errnoOf(err)
	}
	_ = unix.Close(fd)
	return 0
}

func families(World) (string, error) {
	for f := 0; f < 46; f++ {
		switch f {
		case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
			continue
		}
		for kind := 1; kind <= 5; kind++ {
			if e := openSocket(f, kind, 0); e != unix.EAFNOSUPPORT {
				return "family " + itoa(f) + ": " + answer(e), nil
			}
		}
	}
	return "", nil
}

func netlinks(World) (string, error) {
	for p := 1; p < 23; p++ {
		if e := openSocket(unix.AF_NETLINK, unix.SOCK_RAW, p); e != unix.EAFNOSUPPORT {
			return "netlink " + itoa(p) + ": " + answer(e), nil
		}
	}
	return "", nil
}

func protocols(World) (string, error) {
	for _, c := range [][2]int{
		{unix.SOCK_STREAM, unix.IPPROTO_SCTP},
		{unix.SOCK_SEQPACKET, 0},
		{6, 33},
		{unix.SOCK_STREAM, unix.IPPROTO_MPTCP},
		{unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE},
		{unix.SOCK_DGRAM, unix.IPPROTO_L2TP},
		{unix.SOCK_STREAM, 256},
		{unix.SOCK_RDM, 0},
	} {
		if e := openSocket(unix.AF_INET, c[0], c[1]); e == 0 || reached(e, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT) != "" {
			return "protocol " + itoa(c[1]) + ": " + answer(e), nil
		}
	}
	return "", nil
}

// layers asks for one that does not exist, and for none: without a filter the first is looked for and the second done.
func layers(World) (string, error) {
	for _, c := range []struct {
		kind, level, option int
		value               [4]byte
	}{{unix.SOCK_STREAM, unix.IPPROTO_TCP, 31, [4]byte{'n', 'o'}}, {unix.SOCK_DGRAM, unix.IPPROTO_UDP, unix.UDP_ENCAP, [4]byte{}}} {
		fd, err := unix.Socket(unix.AF_INET, c.kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return "", err
		}
		e := call(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(c.level), uintptr(c.option), uintptr(unsafe.Pointer(&c.value)), unsafe.Sizeof(c.value))
		_ = unix.Close(fd)
		if got := reached(e, unix.ENOPROTOOPT); got != "" {
			return "option " + itoa(c.option) + " of protocol " + itoa(c.level) + ": " + got, nil
		}
	}
	return "", nil
}

// typing asks something that is no terminal: a filter refuses the request, the kernel the file.
func typing(World) (string, error) {
	var c [8]byte
	for _, request := range []uintptr{unix.TIOCSTI, 0x541c, unix.TIOCSETD, unix.TIOCCONS} {
		if got := reached(call(unix.SYS_IOCTL, 0, request, uintptr(unsafe.Pointer(&c)))); got != "" {
			return got, nil
		}
	}
	return "", nil
}

func answer(e unix.Errno) string {
	if e == 0 {
		return "opened"
	}
	return unix.ErrnoName(e)
}
