package files

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	home = "/home/site"
	uid  = 1000 // and gid, of the site's user in every template
)

// confine locks the whole process, all threads, into the site's home with the site's own rights (RULE NS, RULE ENTER).
// It is called once, before the first byte of the client is read. Afterwards the kernel alone decides what a path
// means and what is allowed: no check of a path is made, or needed, in this package.
func confine() error {
	if err := unix.Chroot(home); err != nil {
		return fmt.Errorf("chroot %s: %w", home, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("chdir: %w", err)
	}
	unix.Umask(0o022)
	// The calls of package syscall reach every thread; those of x/sys/unix may not.
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("drop groups: %w", err)
	}
	if err := syscall.Setresgid(uid, uid, uid); err != nil {
		return fmt.Errorf("become group %d: %w", uid, err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("become user %d: %w", uid, err)
	}
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("no new privileges: %w", errno)
	}
	return verify()
}

// verify trusts none of the calls above.
func verify() error {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, (*unix.CapUserData)(unsafe.Pointer(&data))); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for _, d := range data {
		if d.Effective|d.Permitted|d.Inheritable != 0 {
			return errors.New("capabilities are left")
		}
	}
	r, e, s := unix.Getresuid()
	if groups, err := unix.Getgroups(); err != nil || len(groups) != 0 || r != uid || e != uid || s != uid {
		return fmt.Errorf("user %d %d %d, groups %v, %w", r, e, s, groups, err)
	}
	if unix.Setuid(0) == nil {
		return errors.New("the way back to root is open")
	}
	return nil
}
