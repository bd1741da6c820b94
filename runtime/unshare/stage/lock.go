package stage

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// kept is the whole list of capabilities a box's root has, over its own user namespace only. Every line is a thing
// that a web server, a database or the owner's shell really does.
var kept = []int{
	unix.CAP_CHOWN,            // services give their sockets and files to their users
	unix.CAP_DAC_OVERRIDE,     // root works in its users' files: dpkg, backups, repairs
	unix.CAP_FOWNER,           // and changes their modes
	unix.CAP_FSETID,           // keeps setgid folders setgid when their files are written
	unix.CAP_KILL,             // a master ends workers that run as another user
	unix.CAP_SETGID,           // masters drop to their users
	unix.CAP_SETUID,           // the same
	unix.CAP_NET_BIND_SERVICE, // port 80
	unix.CAP_SYS_CHROOT,       // the files session locks itself into the home; apt and sshd-like services do the same
}

// gone is every other capability this code knows of, each with what it would open. A box's root never gets it back: it
// leaves the bounding set, and no_new_privs keeps files from lending it.
var gone = map[string]int{
	"DAC_READ_SEARCH":    unix.CAP_DAC_READ_SEARCH,    // file handles: the "shocker" way out of a tree
	"SETPCAP":            unix.CAP_SETPCAP,            // giving capabilities on
	"LINUX_IMMUTABLE":    unix.CAP_LINUX_IMMUTABLE,    // files that nobody can remove any more
	"NET_BROADCAST":      unix.CAP_NET_BROADCAST,      // unused by the kernel
	"NET_ADMIN":          unix.CAP_NET_ADMIN,          // addresses, routes, nft: most kernel exploits of 2022-2024 need it
	"NET_RAW":            unix.CAP_NET_RAW,            // packet sockets: ARP, RA and address forgery (CVE-2020-14386)
	"IPC_LOCK":           unix.CAP_IPC_LOCK,           // memory that cannot be taken back
	"IPC_OWNER":          unix.CAP_IPC_OWNER,          // everybody's shared memory
	"SYS_MODULE":         unix.CAP_SYS_MODULE,         // the kernel itself
	"SYS_RAWIO":          unix.CAP_SYS_RAWIO,          // ports and memory of the machine
	"SYS_PTRACE":         unix.CAP_SYS_PTRACE,         // looking into init and into sessions (RULE ENTER)
	"SYS_PACCT":          unix.CAP_SYS_PACCT,          // process accounting
	"SYS_ADMIN":          unix.CAP_SYS_ADMIN,          // mounts and a hundred other things
	"SYS_BOOT":           unix.CAP_SYS_BOOT,           // reboot
	"SYS_NICE":           unix.CAP_SYS_NICE,           // better scheduling than the others
	"SYS_RESOURCE":       unix.CAP_SYS_RESOURCE,       // above limits, and into the root's reserve of a disk
	"SYS_TIME":           unix.CAP_SYS_TIME,           // the clock
	"SYS_TTY_CONFIG":     unix.CAP_SYS_TTY_CONFIG,     // consoles
	"MKNOD":              unix.CAP_MKNOD,              // device nodes
	"LEASE":              unix.CAP_LEASE,              // leases on other people's files
	"AUDIT_WRITE":        unix.CAP_AUDIT_WRITE,        // lines in the host's audit log
	"AUDIT_CONTROL":      unix.CAP_AUDIT_CONTROL,      // its rules
	"SETFCAP":            unix.CAP_SETFCAP,            // files with capabilities
	"MAC_OVERRIDE":       unix.CAP_MAC_OVERRIDE,       // security modules
	"MAC_ADMIN":          unix.CAP_MAC_ADMIN,          // their rules
	"SYSLOG":             unix.CAP_SYSLOG,             // the kernel's log and its addresses
	"WAKE_ALARM":         unix.CAP_WAKE_ALARM,         // waking the machine
	"BLOCK_SUSPEND":      unix.CAP_BLOCK_SUSPEND,      // keeping it awake
	"AUDIT_READ":         unix.CAP_AUDIT_READ,         // the audit log
	"PERFMON":            unix.CAP_PERFMON,            // counters of everybody
	"BPF":                unix.CAP_BPF,                // programs in the kernel
	"CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE, // choosing process numbers
}

const lastCap = 63 // of the kernel's 64 bits; numbers it does not know answer EINVAL

// lockDown takes rights away, in this order: limits need rights, the bounding set needs CAP_SETPCAP, and the filter
// comes last because it forbids some of what came before.
func lockDown(p Plan) error {
	if err := limits(p); err != nil {
		return err
	}
	unix.Umask(0o022)
	if p.off(NoNewPrivs) { // the filter needs it, or CAP_SYS_ADMIN
		return errors.Join(filters(p), cutCapabilities(p))
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := cutCapabilities(p); err != nil {
		return err
	}
	return filters(p)
}

func filters(p Plan) error {
	for _, f := range p.Filters {
		if err := filter(f); err != nil {
			return err
		}
	}
	return nil
}

// queueBytes is half of what a host gives each user. In a site every one of its 65,536 users has it; memory bounds the rest.
const queueBytes = 409600

func limits(p Plan) error {
	if p.off(ProcLimits) {
		return nil
	}
	if err := openFiles(p.Files); err != nil {
		return err
	}
	for what, n := range map[int]uint64{
		unix.RLIMIT_CORE: 0, unix.RLIMIT_MEMLOCK: 8 << 20,
		unix.RLIMIT_MSGQUEUE: queueBytes, unix.RLIMIT_RTPRIO: 0, unix.RLIMIT_NICE: 0,
	} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("set limit %d: %w", what, err)
		}
	}
	return nil
}

// openFiles sets how many files programs may have open. What counts is the soft limit: init, which runs nothing of the
// tenant's, keeps the hard one it came with, and gives each program its own soft limit as both. So the number can be
// raised for whatever starts later, which would take CAP_SYS_RESOURCE on the host if init's hard limit were as low.
func openFiles(most uint64) error {
	var had unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &had); err != nil {
		return fmt.Errorf("ask for the limit of open files: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: min(most, had.Max), Max: had.Max}); err != nil {
		return fmt.Errorf("limit open files: %w", err)
	}
	return nil
}

// rights are the capabilities of this box: kept, and what a test leaves in.
func rights(p Plan) map[int]bool {
	all := map[int]bool{}
	for _, c := range kept {
		all[c] = true
	}
	for name, c := range gone {
		if p.off(Capability + name) {
			all[c] = true
		}
	}
	return all
}

func cutCapabilities(p Plan) error {
	have := rights(p)
	for c := 0; c <= lastCap; c++ {
		if have[c] {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // past the last one this kernel has
		} else if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	var data [2]unix.CapUserData
	for c := range have {
		data[c/32].Effective |= 1 << (c % 32)
		data[c/32].Permitted |= 1 << (c % 32)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("cut capabilities: %w", err)
	}
	return nil
}
