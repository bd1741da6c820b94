package probe

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// leaks are what a site could learn of the host and of others.
var leaks = []Probe{
	{Name: "kernel memory", Kind: Leak, About: "/proc/kcore", Wall: "masked /proc", Also: []string{"user namespace", "capability SYS_RAWIO"}, Who: RootOnly, try: func(World) (string, error) {
		return tells("/proc/kcore")
	}},
	{Name: "kernel addresses", Kind: Leak, About: "/proc/kallsyms, modules, iomem, vmallocinfo", Wall: "masked /proc", try: func(World) (string, error) {
		return tells("/proc/kallsyms", "/proc/modules", "/proc/iomem", "/proc/ioports", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/pagetypeinfo")
	}},
	{Name: "who else is busy", Kind: Leak, About: "/proc/interrupts, diskstats, locks, timer_list, sched_debug", Wall: "masked /proc", try: func(World) (string, error) {
		return tells("/proc/interrupts", "/proc/softirqs", "/proc/diskstats", "/proc/partitions", "/proc/locks", "/proc/timer_list",
			"/proc/latency_stats", "/proc/sched_debug", "/proc/schedstat", "/proc/kpagecount")
	}},
	{Name: "how the host was started", Kind: Leak, About: "/proc/cmdline, config.gz, keys", Wall: "masked /proc", try: func(World) (string, error) {
		return tells("/proc/cmdline", "/proc/config.gz", "/proc/keys", "/proc/key-users")
	}},
	{Name: "other processes", Kind: Leak, About: "processes of the host in /proc", Wall: "own /proc", try: otherProcesses},
	{Name: "files behind disks", Kind: Leak, About: "names of other sites' disks in /sys", Wall: "masked /sys", try: backingFiles},
	{Name: "machine in /sys", Kind: Leak, About: "firmware, DMI, power, modules, slab caches", Wall: "masked /sys", try: func(World) (string, error) {
		return tells("/sys/firmware", "/sys/devices/virtual/dmi", "/sys/devices/virtual/powercap", "/sys/module", "/sys/power", "/sys/kernel/slab",
			"/sys/kernel/btf", "/sys/kernel/notes", "/sys/fs", "/sys/block", "/sys/bus")
	}},
	{Name: "name of the host", Kind: Leak, About: "uname", Wall: "uts namespace", try: hostName},
	{Name: "place among cgroups", Kind: Leak, About: "/proc/self/cgroup names the host's folders", Wall: "cgroup namespace", try: groupPath},
	{Name: "shared memory", Kind: Leak, About: "SysV segments of the host", Wall: "ipc namespace", try: sharedMemory},
	{Name: "sockets without a file", Kind: Leak, About: "abstract unix sockets of the host", Wall: "network namespace", try: abstract},
}

// otherProcesses looks for the check's own process, which runs on the host: the kernel's threads are not to be seen from
// a host that is a container itself.
func otherProcesses(w World) (string, error) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return "", err
	}
	for _, dir := range all {
		if process, err := ProcessAt(dir); err == nil && process == w.Process {
			return itoa(len(all)) + " processes, the host's among them", nil
		}
	}
	return "", nil
}

// ProcessAt tells the process whose folder in /proc this is from all others: by its name, and by when it started in ticks
// since the machine did. Everybody may read that, and it is the same in every pid namespace.
func ProcessAt(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return "", err
	}
	begin, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')') // a name may hold anything
	if begin < 0 || end < begin {
		return "", fmt.Errorf("%s/stat is %.100q", dir, b)
	}
	const started = 22 - 3 // proc_pid_stat(5); the third field is the first behind the name
	fields := bytes.Fields(b[end+1:])
	if len(fields) <= started {
		return "", fmt.Errorf("%s/stat is %.100q", dir, b)
	}
	return fmt.Sprintf("%s started at %s", b[begin:end+1], fields[started]), nil
}

func backingFiles(World) (string, error) {
	var all []string
	for _, pattern := range []string{"/sys/block/*/loop/backing_file", "/sys/devices/virtual/block/*/loop/backing_file", "/sys/dev/block/*/loop/backing_file"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		all = append(all, found...)
	}
	return tells(all...)
}

func hostName(w World) (string, error) {
	name, err := os.Hostname()
	if err != nil || name != w.HostName {
		return "", err
	}
	return name, nil
}

// groupPath accepts the box's own root and the two parts below it.
func groupPath(World) (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		path := strings.TrimSpace(line[strings.LastIndex(line, ":")+1:])
		switch path {
		case "/", "/run", "/keep", "/../run", "/../keep", "":
		default:
			return path, nil
		}
	}
	return "", nil
}

func sharedMemory(w World) (string, error) {
	if _, err := unix.SysvShmGet(w.SharedKey, 0, 0); err != nil {
		return "", nil
	}
	return "found the host's", nil
}

func abstract(w World) (string, error) {
	c, err := net.Dial("unix", "@"+w.Abstract)
	if err != nil {
		return "", nil
	}
	return "reached the host's", c.Close()
}
