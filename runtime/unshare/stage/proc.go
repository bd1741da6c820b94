package stage

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// What a container has no business with: the host's memory, keys, timers, firmware and hardware. The names are those
// every container runtime hides.
var (
	maskedFiles = []string{"kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "interrupts"}
	maskedDirs  = []string{"acpi", "asound", "scsi"}
	maskedSys   = []string{"firmware", "devices/virtual/powercap"}
	readOnly    = []string{"bus", "fs", "irq", "sys", "sysrq-trigger"}
)

// ceilings are numbers of the box's own user namespace: no further namespaces, a share of inotify (RULE K, RULE BUDGET).
var ceilings = map[string]string{
	"max_user_namespaces": "0", "max_mnt_namespaces": "0", "max_pid_namespaces": "0", "max_net_namespaces": "0",
	"max_ipc_namespaces": "0", "max_uts_namespaces": "0", "max_cgroup_namespaces": "0", "max_time_namespaces": "0",
	"max_inotify_instances": "128", "max_inotify_watches": "65536", "max_fanotify_groups": "0",
}

// kernelViews mounts /proc and /sys anew and hides what does not concern a container.
func kernelViews(root int) error {
	if err := mountAt(root, "proc", "proc", inert); err != nil {
		return err
	}
	if err := mountAt(root, "sys", "sysfs", inert|unix.MOUNT_ATTR_RDONLY); err != nil {
		return err
	}
	proc, err := open(root, "proc", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("open /proc: %w", err)
	}
	sys, err := open(root, "sys", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("open /sys: %w", err)
	}
	user, err := open(proc, "sys/user", unix.O_PATH|unix.O_DIRECTORY) // leads below what fix covers
	if err != nil {
		return fmt.Errorf("open ceilings: %w", err)
	}
	if err := fix(proc); err != nil {
		return err
	}
	return errors.Join(cover(proc, nothing, maskedFiles), cover(proc, emptiness, maskedDirs), cover(sys, emptiness, maskedSys), limit(user))
}

// limit lowers the ceilings. It comes last: each mount made by descriptor lives in a mount namespace of its own at first.
func limit(user int) error {
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
		m, err := kind()
		if err != nil {
			return fmt.Errorf("hide %s: %w", name, err)
		}
		err = attach(m, dir, name)
		_ = unix.Close(m)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("hide %s: %w", name, err)
		}
	}
	return nil
}
