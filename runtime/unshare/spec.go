package unshare

import (
	"fmt"
	"regexp"

	"petitpont/runtime"
)

// What becomes a path, a cgroup, an interface or an argument looks like this, and like nothing else (RULE ARG).
var (
	idForm       = regexp.MustCompile(`^[a-z0-9]{10}$`)
	templateForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	hostForm     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	serviceForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	envForm      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
)

// The least a site can live with, and the most that the kernel or mkfs takes: what they would refuse later is refused
// before it is written down (RULE SPLIT).
var (
	least = runtime.Limits{
		Disk: 16 << 20, Inodes: 1024, Memory: 16 << 20, CPU: 10, Procs: 8,
		IO: 256 << 10, Files: 256, Watches: 128, Terminals: 4, Tmp: 1 << 20,
		Connections: 1, Rate: 1,
	}
	most = runtime.Limits{
		Disk: 1 << 44, Inodes: 1<<32 - 1, Memory: 1 << 44, CPU: 1 << 20, Procs: 1 << 22,
		IO: 1 << 44, Files: 1 << 20, Watches: 1 << 30, Terminals: 1 << 20, Tmp: 1 << 44,
		Connections: 1_000_000, Rate: 1_000_000, // as package network takes them
	}
)

const (
	maxServices = 8       // petitpont-init holds as many
	maxEnv      = 8 << 10 // bytes: it is sent to init once per service, in one packet
)

func checkSpec(s runtime.Spec) error {
	for what, ok := range map[string]bool{
		"id":       idForm.MatchString(s.ID),
		"template": templateForm.MatchString(s.Template),
		"hostname": hostForm.MatchString(s.Hostname),
		"slot":     s.Slot >= 0 && s.Slot < 1<<15,
		"services": len(s.Services) <= maxServices,
	} {
		if !ok {
			return fmt.Errorf("%w: %s", runtime.ErrInvalid, what)
		}
	}
	for _, name := range s.Services {
		if !serviceForm.MatchString(name) {
			return fmt.Errorf("%w: service name %q", runtime.ErrInvalid, name)
		}
	}
	if err := checkEnv(s.Env); err != nil {
		return err
	}
	return checkLimits(s.Limits)
}

func checkLimits(l runtime.Limits) error {
	for what, n := range map[string][3]int64{
		"disk": {l.Disk, least.Disk, most.Disk}, "inodes": {l.Inodes, least.Inodes, most.Inodes},
		"memory": {l.Memory, least.Memory, most.Memory}, "cpu": {int64(l.CPU), int64(least.CPU), int64(most.CPU)},
		"procs": {int64(l.Procs), int64(least.Procs), int64(most.Procs)}, "io": {l.IO, least.IO, most.IO},
		"files":   {int64(l.Files), int64(least.Files), int64(most.Files)},
		"watches": {int64(l.Watches), int64(least.Watches), int64(most.Watches)}, "tmp": {l.Tmp, least.Tmp, most.Tmp},
		"terminals":   {int64(l.Terminals), int64(least.Terminals), int64(most.Terminals)},
		"connections": {int64(l.Connections), int64(least.Connections), int64(most.Connections)},
		"rate":        {int64(l.Rate), int64(least.Rate), int64(most.Rate)},
	} {
		if n[0] != 0 && (n[0] < n[1] || n[0] > n[2]) {
			return fmt.Errorf("%w: limit of %s is %d, want %d to %d", runtime.ErrInvalid, what, n[0], n[1], n[2])
		}
	}
	return nil
}

// withDefaults fills what is zero, but for connections and their rate, which then follow the segment, and rounds the disk
// up to whole MiB, so that few blank images serve all.
func withDefaults(l runtime.Limits) runtime.Limits {
	l = l.Filled()
	l.Disk = (l.Disk + 1<<20 - 1) &^ (1<<20 - 1)
	return l
}
