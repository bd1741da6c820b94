package probe

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// escapes are ways out of the tree and into what is petitpont's own.
var escapes = []Probe{
	{Name: "chroot break-out", Kind: Escape, About: "climbing out of a chroot to the host's files", Wall: "pivot_root", try: breakOut},
	{Name: "neighbour's disk", Kind: Escape, About: "opening another site's disk on the host", Wall: "user namespace", Also: []string{"pivot_root"}, Who: RootOnly, try: neighboursDisk},
	{Name: "root of a process", Kind: Escape, About: "reading the host's files by /proc/1/root and its like", Wall: "own /proc", Also: []string{"user namespace", "capability SYS_PTRACE"}, try: rootOfProcess},
	{Name: "mount", Kind: Escape, About: "mounting a file system", Wall: "seccomp:mounts", Also: []string{"capability SYS_ADMIN"}, try: mounted("tmpfs")},
	{Name: "cgroup mount", Kind: Escape, About: "mounting the cgroup tree, for release_agent or a higher limit", Wall: "seccomp:mounts", Also: []string{"capability SYS_ADMIN"}, try: mounted("cgroup2")},
	{Name: "fsopen", Kind: Escape, About: "the newer way to mount", Wall: "seccomp:mounts", Also: []string{"capability SYS_ADMIN"}, try: func(World) (string, error) {
		return reached(call(unix.SYS_FSOPEN, text("tmpfs"), 0)), nil
	}},
	{Name: "unmount", Kind: Escape, About: "uncovering what petitpont hides in /proc", Wall: "seccomp:mounts", Also: []string{"capability SYS_ADMIN"}, try: func(World) (string, error) {
		return reached(call(unix.SYS_UMOUNT2, text("/proc/sys"), unix.MNT_DETACH)), nil
	}},
	{Name: "remount", Kind: Escape, About: "making /proc/sys writable again", Wall: "seccomp:mounts", Also: []string{"capability SYS_ADMIN"}, try: func(World) (string, error) {
		a := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
		return reached(call(unix.SYS_MOUNT_SETATTR, uintptr(atCwd), text("/proc/sys"), 0, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a))), nil
	}},
	{Name: "pivot_root", Kind: Escape, About: "changing the root", Wall: "seccomp:mounts", Also: []string{"capability SYS_ADMIN"}, try: func(World) (string, error) {
		return reached(call(unix.SYS_PIVOT_ROOT, text("."), text("."))), nil
	}},
	{Name: "device node", Kind: Escape, About: "making a node of a disk or a memory", Wall: "user namespace", Also: []string{"capability MKNOD"}, try: makeNode},
	{Name: "device of its own", Kind: Escape, About: "opening a node on its own disk", Wall: "nodev", Also: []string{"user namespace", "capability MKNOD"}, Who: RootOnly, try: openNode},
	{Name: "host's devices", Kind: Escape, About: "disks and memories in /dev", Wall: "own /dev", try: hostsDevices},
	{Name: "file in /dev", Kind: Escape, About: "putting something else in the place of /dev/null", Wall: "read-only /dev", Who: RootOnly, try: func(World) (string, error) {
		return opens(os.O_CREATE|os.O_WRONLY, "/dev/petitpont-probe")
	}},
	{Name: "setuid program", Kind: Escape, About: "becoming root by a setuid file", Wall: "no_new_privs", Also: []string{"nosuid"}, Who: WebOnly, try: setuid},
	{Name: "core_pattern", Kind: Escape, About: "writing the host's settings in /proc/sys", Wall: "read-only /proc", Also: []string{"user namespace"}, Who: RootOnly, try: func(World) (string, error) {
		return opens(os.O_WRONLY, "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/sysrq", "/proc/sys/vm/panic_on_oom", "/proc/sys/fs/suid_dumpable")
	}},
	{Name: "own settings", Kind: Budget, About: "raising the numbers of its own namespaces in /proc/sys", Wall: "read-only /proc", Who: RootOnly, try: func(World) (string, error) {
		return opens(os.O_WRONLY, "/proc/sys/kernel/shmmax", "/proc/sys/kernel/msgmax", "/proc/sys/fs/mqueue/queues_max")
	}},
	{Name: "network settings", Kind: Escape, About: "writing /proc/sys/net: forwarding, router advertisements", Wall: "read-only /proc", Also: []string{"capability NET_ADMIN"}, Who: RootOnly, try: func(World) (string, error) {
		return opens(os.O_WRONLY, "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/accept_ra", "/proc/sys/net/ipv4/ip_unprivileged_port_start")
	}},
	{Name: "sysrq", Kind: Escape, About: "rebooting by /proc/sysrq-trigger", Wall: "read-only /proc", Also: []string{"user namespace"}, Who: RootOnly, try: func(World) (string, error) {
		return opens(os.O_WRONLY, "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity")
	}},
	{Name: "write to /sys", Kind: Escape, About: "changing the kernel's objects", Wall: "read-only /sys", Who: RootOnly, try: func(World) (string, error) {
		return opens(os.O_WRONLY, "/sys/class/net/lo/tx_queue_len", "/sys/class/net/eth0/tx_queue_len", "/sys/kernel/uevent_helper", "/sys/power/state")
	}},
	{Name: "inside init", Kind: Escape, About: "memory and descriptors of petitpont-init", Wall: "hidden init", Who: RootOnly, try: func(World) (string, error) {
		return opens(os.O_RDONLY, "/proc/1/mem", "/proc/1/fd/3", "/proc/1/fd/6", "/proc/1/environ")
	}},
	{Name: "inside a session", Kind: Escape, About: "memory and descriptors of a file session", Wall: "hidden sessions", try: insideSession},
	{Name: "left descriptors", Kind: Escape, About: "files of the host that a program is born with", Wall: "closed descriptors", try: leftDescriptors},
	{Name: "overwriting our program", Kind: Escape, About: "writing the program that petitpont sends in (CVE-2019-5736)", Wall: "sealed programs", try: overwrite},
}

const atCwd = unix.AT_FDCWD & (1<<64 - 1)

func text(s string) uintptr {
	p, _ := unix.BytePtrFromString(s)
	kept = append(kept, p)
	return uintptr(unsafe.Pointer(p))
}

var kept []*byte // strings that the kernel is told about stay where they are

// climb leaves a chroot the oldest way: a second chroot below, with the working directory left above.
func climb() error {
	dir, err := os.MkdirTemp("/tmp", "climb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(dir) }()
	above, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	if err := unix.Chroot(dir); err != nil {
		return err
	}
	if err := unix.Fchdir(above); err != nil {
		return err
	}
	for range 64 {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	return unix.Chroot(".")
}

func breakOut(w World) (string, error) {
	if err := climb(); err != nil && !errors.Is(err, unix.EPERM) {
		return "", err
	}
	return secret(w, w.HostFile)
}

func secret(w World, path string) (string, error) {
	if b, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(b)) == w.Secret {
		return "read " + w.HostFile + " of the host", nil
	}
	return "", nil
}

func neighboursDisk(w World) (string, error) {
	if err := climb(); err != nil && !errors.Is(err, unix.EPERM) {
		return "", err
	}
	return opens(os.O_RDONLY, w.HostDisk)
}

func rootOfProcess(w World) (string, error) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if got, _ := secret(w, filepath.Join(p, "root", w.HostFile)); got != "" {
			return got, nil
		}
	}
	return "", nil
}

func mounted(kind string) func(World) (string, error) {
	return func(World) (string, error) {
		dir, err := os.MkdirTemp("/tmp", "mount-")
		if err != nil {
			return "", err
		}
		defer func() { _ = os.Remove(dir) }()
		e := call(unix.SYS_MOUNT, text("none"), text(dir), text(kind), 0, 0)
		if e == 0 {
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}
		return reached(e), nil
	}
}

func makeNode(World) (string, error) {
	const path = "/tmp/petitpont-node"
	defer func() { _ = os.Remove(path) }()
	return reached(errnoOf(unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0)))), unix.EEXIST), nil
}

// openNode makes a second /dev/null where only "nodev" keeps it dead.
func openNode(World) (string, error) {
	const path = "/petitpont-null"
	defer func() { _ = os.Remove(path) }()
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		return "", nil
	}
	return opens(os.O_WRONLY, path)
}

// hostsDevices looks for nodes that are none of the harmless: null, zero, full, random, urandom, tty, ptmx and terminals.
func hostsDevices(World) (string, error) {
	harmless := map[uint64]bool{
		unix.Mkdev(1, 3): true, unix.Mkdev(1, 5): true, unix.Mkdev(1, 7): true, unix.Mkdev(1, 8): true,
		unix.Mkdev(1, 9): true, unix.Mkdev(5, 0): true, unix.Mkdev(5, 2): true,
	}
	var got []string
	err := filepath.WalkDir("/dev", func(path string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Lstat(path, &st) != nil {
			return nil
		}
		kind := st.Mode & unix.S_IFMT
		if kind == unix.S_IFBLK || kind == unix.S_IFCHR && !harmless[st.Rdev] && unix.Major(st.Rdev) != 136 {
			got = append(got, path)
		}
		return nil
	})
	return strings.Join(got[:min(len(got), 5)], " "), err
}

func setuid(w World) (string, error) {
	if w.Prepared == "" {
		return "", errors.New("no setuid file was prepared")
	}
	c := exec.Command(w.Prepared, "probe", "whoami")
	c.Stdin, c.Stderr = os.Stdin, os.Stderr // there may be no /dev/null
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("run setuid file: %w", err)
	}
	if string(out) == "0" {
		return "became root", nil
	}
	return "", nil
}

// insideSession looks for the SFTP server that the self-check has open meanwhile.
func insideSession(World) (string, error) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return "", err
	}
	for _, path := range all {
		line, err := os.ReadFile(path)
		if err != nil || string(line) != "petitpont-box\x00files\x00" {
			continue
		}
		dir := filepath.Dir(path)
		fds, _ := filepath.Glob(dir + "/fd/*") // root may count them, but not look where they lead
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil {
				return fd + " is " + to, nil
			}
		}
		return opens(os.O_RDONLY, dir+"/mem", dir+"/environ")
	}
	return "", errors.New("no file session is open")
}

func leftDescriptors(World) (string, error) {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return "", err
	}
	var got []string
	for _, e := range all {
		n, _ := strconv.Atoi(e.Name())
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if n > 2 && err == nil && !ofGo(to) {
			got = append(got, e.Name()+" is "+to)
		}
	}
	return strings.Join(got, ", "), nil
}

// ofGo tells what Go's own runtime has open: its poller, and the cgroup's numbers that tell how many threads it needs.
func ofGo(to string) bool {
	return strings.HasPrefix(to, "anon_inode:[event") || strings.HasPrefix(to, "/proc/") || strings.HasPrefix(filepath.Base(to), "cpu.")
}

// overwrite asks for the seals: an unsealed program that runs is "busy", but only for as long as it runs.
func overwrite(World) (string, error) {
	to, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(to, "/memfd:") {
		return "", nil // a file of the tenant's own
	}
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	const want = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	if seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&want != want {
		return fmt.Sprintf("%s can be written once nobody runs it", to), nil
	}
	return "", nil
}

func errnoOf(err error) unix.Errno {
	var e unix.Errno
	if errors.As(err, &e) {
		return e
	}
	return 0
}
