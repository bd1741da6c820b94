package stage

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// kept is the whole list of capabilities a box's root has, over its own user namespace only. Every line is a thing
// that a web server, a database or the owner's shell really does; all others are gone for good, also by setuid.
var kept = []int{
	unix.CAP_CHOWN,            // services give their sockets and files to their users
	unix.CAP_DAC_OVERRIDE,     // root works in its users' files
	unix.CAP_FOWNER,           // and changes their modes
	unix.CAP_FSETID,           // keeps setgid folders setgid
	unix.CAP_KILL,             // a master ends workers that run as another user
	unix.CAP_SETGID,           // masters drop to their users
	unix.CAP_SETUID,           // the same
	unix.CAP_NET_BIND_SERVICE, // port 80
	unix.CAP_SYS_CHROOT,       // the files session locks itself into the home; sshd-like services do
}

const lastCap = 63 // of the kernel's 64 bits; numbers it does not know answer EINVAL

// lockDown takes rights away, in this order: limits need rights, the bounding set needs CAP_SETPCAP, and the filter
// comes last because it forbids some of what came before.
func lockDown(p Plan) error {
	if err := limits(p); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := cutCapabilities(); err != nil {
		return err
	}
	unix.Umask(0o022)
	for _, f := range p.Filters {
		if err := filter(f); err != nil {
			return err
		}
	}
	return nil
}

func limits(p Plan) error {
	for what, n := range map[int]uint64{unix.RLIMIT_NOFILE: p.Files, unix.RLIMIT_CORE: 0, unix.RLIMIT_MEMLOCK: 8 << 20,
		unix.RLIMIT_MSGQUEUE: 819200, unix.RLIMIT_RTPRIO: 0, unix.RLIMIT_NICE: 0} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("set limit %d: %w", what, err)
		}
	}
	return nil
}

func cutCapabilities() error {
	for c := 0; c <= lastCap; c++ {
		if slices.Contains(kept, c) {
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
	for _, c := range kept {
		data[c/32].Effective |= 1 << (c % 32)
		data[c/32].Permitted |= 1 << (c % 32)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("cut capabilities: %w", err)
	}
	return nil
}
