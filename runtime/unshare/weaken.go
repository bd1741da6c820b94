package unshare

import (
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/stage"
)

// Seal is the wall that nobody can write a program of ours that runs inside (RULE ENTER).
const Seal = "sealed programs"

// FixedTemplate is the wall that a site's mount of its template cannot be written through, whoever gets hold of it.
const FixedTemplate = "read-only template"

// weak tells whether a test leaves this wall out.
func (d *Driver) weak(wall string) bool { return slices.Contains(d.Weaken, wall) }

// spaces are the namespaces a box is born into.
func (d *Driver) spaces() uintptr {
	flags := uintptr(birthFlags)
	for wall, flag := range map[string]uintptr{
		stage.UserSpace: syscall.CLONE_NEWUSER, stage.IPCSpace: syscall.CLONE_NEWIPC, stage.UTSSpace: syscall.CLONE_NEWUTS,
		stage.NetSpace: syscall.CLONE_NEWNET,
	} {
		if d.weak(wall) {
			flags &^= flag
		}
	}
	return flags
}

func (d *Driver) program(path string) (*os.File, error) {
	if d.weak(Seal) {
		return copied(path, 0)
	}
	return sealed(path)
}

// templateAttrs are the attributes of a site's mount of its template.
func (d *Driver) templateAttrs() uint64 {
	if d.weak(FixedTemplate) {
		return 0
	}
	return unix.MOUNT_ATTR_RDONLY
}
