package unshare

import (
	"fmt"
	"strings"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/stage"
)

// What no program of a site may ask the kernel for (RULE K). It is a list of what is refused, by theme; everything
// else is allowed. Calls by another architecture's numbers are refused as well.
const (
	mounts    = "mount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr setns"
	machine   = "reboot kexec_load kexec_file_load init_module finit_module delete_module swapon swapoff acct quotactl quotactl_fd syslog iopl ioperm vhangup settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname"
	surface   = "bpf io_uring_setup io_uring_enter io_uring_register userfaultfd perf_event_open keyctl add_key request_key fanotify_init open_by_handle_at name_to_handle_at lookup_dcookie move_pages migrate_pages"
	processes = "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp"
)

// seccompFilters are three programs, because the library gives each one answer: EPERM; ENOSYS, by which libc falls
// back from clone3 to clone, whose flags a filter can see; EAFNOSUPPORT for sockets of a family nobody needs.
func seccompFilters() ([][]stage.Filter, error) {
	groups := []seccomp.SyscallGroup{
		{Action: refuse(unix.EPERM), Names: denied(), NamesWithCondtions: []seccomp.NameWithConditions{
			{Name: "clone", Conditions: bits(0, namespaces)},
			{Name: "unshare", Conditions: bits(0, namespaces|unix.CLONE_NEWTIME)},
		}},
		{Action: refuse(unix.ENOSYS), Names: []string{"clone3"}},
		{Action: refuse(unix.EAFNOSUPPORT), NamesWithCondtions: []seccomp.NameWithConditions{
			{Name: "socket", Conditions: noneOf(0, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK)},
			{Name: "socket", Conditions: seccomp.ArgumentConditions{
				{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_NETLINK},
				{Argument: 2, Operation: seccomp.NotEqual, Value: unix.NETLINK_ROUTE}}},
			{Name: "socketpair", Conditions: noneOf(0, unix.AF_UNIX)},
		}},
	}
	var all [][]stage.Filter
	for _, g := range groups {
		policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{g}}
		program, err := policy.Assemble()
		if err != nil {
			return nil, fmt.Errorf("seccomp: %w", err)
		}
		raw, err := bpf.Assemble(program)
		if err != nil {
			return nil, fmt.Errorf("seccomp: %w", err)
		}
		all = append(all, instructions(raw))
	}
	return all, nil
}

const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

func denied() []string {
	return strings.Fields(strings.Join([]string{mounts, machine, surface, processes}, " "))
}

func refuse(errno unix.Errno) seccomp.Action { return seccomp.ActionErrno | seccomp.Action(errno) }

func bits(arg uint32, mask uint64) seccomp.ArgumentConditions {
	return seccomp.ArgumentConditions{{Argument: arg, Operation: seccomp.BitsSet, Value: mask}}
}

func noneOf(arg uint32, values ...uint64) seccomp.ArgumentConditions {
	var all seccomp.ArgumentConditions
	for _, v := range values {
		all = append(all, seccomp.Condition{Argument: arg, Operation: seccomp.NotEqual, Value: v})
	}
	return all
}

func instructions(raw []bpf.RawInstruction) []stage.Filter {
	var f []stage.Filter
	for _, r := range raw {
		f = append(f, stage.Filter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K})
	}
	return f
}
