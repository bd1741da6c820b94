package stage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// What a container has no business with: the host's memory, keys, timers, firmware, disks and modules. The first line
// of each is what every container runtime hides; the second is ours, with the reason.
var (
	maskedFiles = []string{
		"kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "interrupts",
		// Names and places of the kernel's own code and pages, half of every exploit; who else is busy, with which disk.
		"kallsyms", "modules", "kmsg", "key-users", "kpagecount", "kpageflags", "kpagecgroup", "vmallocinfo", "slabinfo",
		"pagetypeinfo", "iomem", "ioports", "cmdline", "config.gz", "diskstats", "partitions", "locks", "softirqs",
		"schedstat", "mdstat", "mtrr",
	}
	maskedDirs = []string{"acpi", "asound", "scsi"}
	maskedSys  = []string{
		"firmware", "devices/virtual/powercap",
		// Loop devices name the files behind them, which are other people's sites; fs counts each of their disks.
		"devices/virtual/block", "devices/virtual/dmi", "devices/virtual/thermal", "devices/virtual/vtconsole",
		"devices/virtual/bdi", "block", "dev", "fs", "module", "power", "hypervisor", "bus",
		// Debuggers, tracers and slab caches of the kernel. kernel/mm stays: runtimes ask it for the size of huge pages.
		"kernel/debug", "kernel/tracing", "kernel/security", "kernel/config", "kernel/slab", "kernel/btf", "kernel/boot_params",
		"kernel/iommu_groups", "kernel/irq", "kernel/livepatch",
	}
	// Files of /sys that tell where the kernel lies.
	maskedSysFiles = []string{"kernel/vmcoreinfo", "kernel/notes"}
	// maskedCPU are folders of each processor: how hot it is tells what the neighbour computes.
	maskedCPU = "devices/system/cpu/cpu[0-9]*/thermal_throttle"
	readOnly  = []string{"bus", "fs", "irq", "sys", "sysrq-trigger"}
)

// ceilings are numbers of the box's own user namespace: no further namespaces, a share of inotify (RULE K, RULE BUDGET).
var ceilings = map[string]string{
	"max_user_namespaces": "0", "max_mnt_namespaces": "0", "max_pid_namespaces": "0", "max_net_namespaces": "0",
	"max_ipc_namespaces": "0", "max_uts_namespaces": "0", "max_cgroup_namespaces": "0", "max_time_namespaces": "0",
	"max_inotify_instances": "64", "max_fanotify_groups": "0",
}

// kernelViews mounts /proc and /sys anew and hides what does not concern a container. hosts is the host's own /proc for
// a test that leaves ours out, -1 otherwise.
func kernelViews(p Plan, root, hosts int) error {
	proc, err := procOf(root, hosts)
	if err != nil {
		return err
	}
	sys, err := sysOf(p, root)
	if err != nil {
		return err
	}
	user, err := open(proc, "sys/user", unix.O_PATH|unix.O_DIRECTORY) // leads below what fix covers
	if err != nil {
		return fmt.Errorf("open ceilings: %w", err)
	}
	if !p.off(ProcFixed) {
		if err := fix(proc); err != nil {
			return err
		}
	}
	if !p.off(ProcMasks) {
		if err := errors.Join(cover(proc, nothing, maskedFiles), cover(proc, emptiness, maskedDirs)); err != nil {
			return err
		}
	}
	if !p.off(SysMasks) {
		if err := hide(sys); err != nil {
			return err
		}
	}
	if p.off(Ceilings) || p.off(UserSpace) { // without a user namespace these would be the host's numbers
		return nil
	}
	return errors.Join(limit(user, ceilings), limit(user, map[string]string{Watches: strconv.Itoa(p.Watches)}))
}

// Watches is the ceiling of inotify watches; its number is the site's own.
const Watches = "max_inotify_watches"

func procOf(root, hosts int) (int, error) {
	if hosts >= 0 {
		if err := attach(hosts, root, "proc"); err != nil {
			return -1, err
		}
	} else if _, err := mountAt(root, "proc", "proc", inert); err != nil {
		return -1, err
	}
	proc, err := open(root, "proc", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, fmt.Errorf("open /proc: %w", err)
	}
	return proc, nil
}

func sysOf(p Plan, root int) (int, error) {
	attrs := inert | unix.MOUNT_ATTR_RDONLY
	if p.off(SysFixed) {
		attrs = inert
	}
	if !p.off(NetSpace) { // a sysfs belongs to a network namespace
		if _, err := mountAt(root, "sys", "sysfs", attrs); err != nil {
			return -1, err
		}
	}
	sys, err := open(root, "sys", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, fmt.Errorf("open /sys: %w", err)
	}
	return sys, nil
}

// hide covers what is not a container's in /sys.
func hide(sys int) error {
	cpus, err := filepath.Glob(fmt.Sprintf("/proc/self/fd/%d/%s", sys, maskedCPU))
	if err != nil {
		return err
	}
	for i, name := range cpus {
		cpus[i], _ = filepath.Rel(fmt.Sprintf("/proc/self/fd/%d", sys), name)
	}
	return errors.Join(cover(sys, emptiness, maskedSys), cover(sys, emptiness, cpus), cover(sys, nothing, maskedSysFiles))
}

// limit lowers the ceilings. It comes last: each mount made by descriptor lives in a mount namespace of its own at first.
func limit(user int, ceilings map[string]string) error {
	for name, value := range ceilings {
		f, err := open(user, name, unix.O_WRONLY)
		if errors.Is(err, unix.ENOENT) {
			continue // a kernel without that kind
		}
		if err != nil {
			return fmt.Errorf("open ceiling %s: %w", name, err)
		}
		_, err = unix.Write(f, []byte(value))
		_ = unix.Close(f)
		if err != nil {
			return fmt.Errorf("set ceiling %s: %w", name, err)
		}
	}
	return nil
}

// fix makes parts of /proc read-only by mounting them over themselves.
func fix(proc int) error {
	for _, name := range readOnly {
		m, err := copyOf(proc, name)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(restrict(m, inert|unix.MOUNT_ATTR_RDONLY), attach(m, proc, name)); err != nil {
			return fmt.Errorf("make /proc/%s read-only: %w", name, err)
		}
		_ = unix.Close(m)
	}
	return nil
}

// nothing is what a hidden file reads as, emptiness what a hidden directory lists as. Each cover gets a mount of its own:
// a mount that is attached nowhere cannot be cloned before Linux 6.15.
func nothing() (int, error) { return hostNode("null") }

func emptiness() (int, error) {
	return fresh("tmpfs", inert|unix.MOUNT_ATTR_RDONLY, "size=4k", "nr_inodes=2", "mode=0555")
}

// cover hides each name that exists under a mount of its own.
func cover(dir int, kind func() (int, error), names []string) error {
	for _, name := range names {
		at, err := open(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			continue // looked up first: a mount that is not needed would cost as much as one that is
		}
		if err != nil {
			return fmt.Errorf("hide %s: %w", name, err)
		}
		m, err := kind()
		if err == nil {
			err = errors.Join(move(m, at), unix.Close(m))
		}
		_ = unix.Close(at)
		if err != nil {
			return fmt.Errorf("hide %s: %w", name, err)
		}
	}
	return nil
}
