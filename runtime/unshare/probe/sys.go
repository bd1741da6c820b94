package probe

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

type unixStatus = syscall.WaitStatus

var sessionOfItsOwn = &syscall.SysProcAttr{Setpgid: true}

// call makes a system call and tells how it was answered.
func call(n uintptr, a ...uintptr) unix.Errno {
	var f [6]uintptr
	copy(f[:], a)
	_, _, e := unix.Syscall6(n, f[0], f[1], f[2], f[3], f[4], f[5])
	return e
}

// minus is -1 as an argument, nobody a process number that no process has.
const (
	minus  = ^uintptr(0)
	nobody = 1<<22 - 1
)

// reached tells that a call was answered by the code behind it, and not by a refusal: with arguments that are wrong on
// purpose, anything but "you may not" and "there is no such thing" shows that the way is free.
func reached(e unix.Errno, refusals ...unix.Errno) string {
	for _, r := range append(refusals, unix.EPERM, unix.ENOSYS, unix.EACCES) {
		if e == r {
			return ""
		}
	}
	if e == 0 {
		return "the kernel did it"
	}
	return fmt.Sprintf("the kernel looked at it (%s)", unix.ErrnoName(e))
}

// opens tells which of the paths can be opened.
func opens(flags int, paths ...string) (string, error) {
	var got []string
	for _, p := range paths {
		if f, err := os.OpenFile(p, flags|unix.O_NONBLOCK, 0); err == nil {
			_ = f.Close()
			got = append(got, p)
		}
	}
	return strings.Join(got, " "), nil
}

// tells gives those of the paths that can be read and hold something.
func tells(paths ...string) (string, error) {
	var got []string
	for _, p := range paths {
		if holds(p) {
			got = append(got, p)
		}
	}
	return strings.Join(got, " "), nil
}

func holds(path string) bool {
	if d, err := os.ReadDir(path); err == nil {
		return len(d) > 0
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	n, _ := f.Read(make([]byte, 1))
	return n > 0
}
