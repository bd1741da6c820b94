// Command under runs a program under the filter of a site: under PROGRAM ARG... Tests hear what programs say there.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/filter"
)

func main() {
	fmt.Fprintln(os.Stderr, "under:", run(os.Args[1:]))
	os.Exit(126)
}

func run(argv []string) error {
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // what this thread executes inherits its filter
	if err := load(); err != nil {
		return fmt.Errorf("load filter: %w", err)
	}
	return unix.Exec(program, argv, os.Environ())
}

func load() error {
	code, err := filter.Program()
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	p := unix.SockFprog{Len: uint16(len(code)), Filter: (*unix.SockFilter)(unsafe.Pointer(&code[0]))}
	_, _, errno := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return errno
	}
	return nil
}
