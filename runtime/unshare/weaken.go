package unshare

import (
	"os"
	"slices"
	"syscall"

	"petitpont/runtime/unshare/stage"
)

// Seal is the wall that nobody can write a program of ours that runs inside (RULE ENTER).
const Seal = "sealed programs"

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
