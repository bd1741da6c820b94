package unshare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Our own two hundred lines instead of a library: a process must be born in its cgroup (CLONE_INTO_CGROUP on v2, a
// clone from a thread that stands in it on v1), because moving one that runs costs 14 ms; libraries can only move.
//
//	INSTANCE/ID        limits; init and the Files sessions
//	INSTANCE/ID/run    services and programs: the part that Freeze stops

// hierarchy is the instance's part of the kernel's cgroup tree.
type hierarchy interface {
	// make makes the cgroup of an id, or takes the one that is there, and limits it.
	make(id string, l runtime.Limits) (group, error)
	// open is the cgroup of an id that stands.
	open(id string) group
	list() ([]string, error)
	removeAll() error
}

// group is the cgroup of one site.
type group interface {
	limit(l runtime.Limits) error
	// throttle bounds what the group reads from a block device, and what it writes to it, in bytes a second. A host
	// whose kernel cannot is no error.
	throttle(device uint64, bytes int64) error
	// spawn calls start so that the process it makes is born in the group.
	spawn(start func(*syscall.SysProcAttr) error) error
	// entry is the file by which a process puts itself into the part that freezes, by writing 0.
	entry() (*os.File, error)
	freeze(on bool) error
	frozen() bool
	usage() (usage, error)
	// oomKills counts processes the kernel killed here for memory.
	oomKills() int64
	// hurry takes the limit of processor time away from a group that has been killed.
	hurry() error
	// swap is how much of its memory may be swapped out, in bytes: nothing, also on a host without swap accounting.
	swap() int64
	// throttled counts how often the group wanted more of the processors than it may have.
	throttled() int64
	// procs are the processes in it, as the host numbers them.
	procs() []int
	remove() error
}

type usage struct {
	memory, memoryMax int64
	procs, procsMax   int
	cpu               time.Duration
}

const cgroupRoot = "/sys/fs/cgroup"

// openHierarchy takes v2 if the host has it whole, else v1.
func openHierarchy(instance string) (hierarchy, error) {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return openV2(instance)
	}
	return openV1(instance)
}

// cgroupFile reads and writes the files of one cgroup directory.
type cgroupDir string

func (d cgroupDir) write(name, value string) error {
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cgroup: set to %s: %w", value, err)
	}
	return nil
}

func (d cgroupDir) read(name string) string {
	b, err := os.ReadFile(filepath.Join(string(d), name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// number reads a number; "max" and nonsense are 0.
func (d cgroupDir) number(name string) int64 {
	n, _ := strconv.ParseInt(d.read(name), 10, 64)
	return n
}

// field reads the number behind a key of a "key value" file.
func (d cgroupDir) field(name, key string) int64 {
	for line := range strings.Lines(d.read(name)) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

func (d cgroupDir) procs() []int {
	var all []int
	for _, f := range strings.Fields(d.read("cgroup.procs")) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
			all = append(all, pid)
		}
	}
	return all
}

// writeIfThere writes what not every kernel has.
func (d cgroupDir) writeIfThere(name, value string) error {
	if err := d.write(name, value); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func deviceNumber(device uint64) string {
	return fmt.Sprintf("%d:%d", unix.Major(device), unix.Minor(device))
}

func (d cgroupDir) mkdir() error {
	if err := os.Mkdir(string(d), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make cgroup: %w", err)
	}
	return nil
}

// rmdir removes the directory. The kernel needs a moment after the last process has gone.
func (d cgroupDir) rmdir() error {
	for wait := 100 * time.Microsecond; ; wait *= 2 {
		err := unix.Rmdir(string(d))
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || wait > 2*time.Second {
			return fmt.Errorf("remove cgroup %s: %w", d, err)
		}
		time.Sleep(wait)
	}
}

func (d cgroupDir) children() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list cgroups: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// settled waits for a state the kernel reaches by itself.
func settled(what string, reached func() bool) error {
	for wait := 50 * time.Microsecond; !reached(); wait *= 2 {
		if wait > time.Second {
			return fmt.Errorf("cgroup did not become %s", what)
		}
		time.Sleep(wait)
	}
	return nil
}
