// Package stage builds a box from inside its fresh namespaces and then becomes its init.
//
// The runtime clones petitpont-box into new user, mount, pid, net, ipc and uts namespaces and hands it descriptors.
// Everything here happens before a single byte of the tenant runs (RULE BUILD), with the rights of the tenant's own
// user namespace, never with those of the host (RULE NS). Then rights are cut and the process executes petitpont-init.
//
//	runtime                                   stage
//	clone into namespaces and cgroup  ----->  detach from the host's mounts
//	attach image, idmap both layers
//	Plan, image and template mounts   ----->  overlay, /dev, /proc, /sys, pivot_root, cut rights
//	write state.json                  <-----  "built", or why not
//	"go"                              ----->  execveat petitpont-init; the socket closes with it
//
// If the runtime dies before "go", the socket ends and the stage exits: nothing half-known stays behind.
package stage

// The descriptors a stage is born with. All up to Shm are also those petitpont-init is born with; until then Terminals
// holds the stage's side of the dialogue, and those behind Group hold nothing.
const (
	Listen    = 3 // listening socket of init
	Log       = 4 // memfd of the services' last lines
	Terminals = 5 // root of the box's devpts
	Group     = 6 // the file that puts a process that writes 0 into the part of the cgroup that freezes
	Tmp       = 7 // root of the tmpfs on /tmp: init only holds it, for the runtime to reach it by (RULE NS)
	Run       = 8 // the same of /run
	Shm       = 9 // the same of /dev/shm

	Init = 10 // sealed petitpont-init
	Box  = 11 // sealed petitpont-box: what runs now
)

// Plan is what the runtime wants built. It comes with two descriptors: the image's mount and the template's.
type Plan struct {
	Hostname string
	Hosts    string     // /etc/hosts
	Resolv   string     // /etc/resolv.conf
	Tmp      int64      // bytes for each of /tmp, /run and /dev/shm
	Files    uint64     // open files per process
	Filters  [][]Filter // seccomp programs

	Watches   int      // inotify watches of the whole box
	Terminals int      // pseudo-terminals at a time
	Off       []string // walls a test leaves out; refused by every program that is not built for tests
}

// Filter is one classic BPF instruction, as the kernel takes it.
type Filter struct {
	Code   uint16
	Jt, Jf uint8
	K      uint32
}

// The words of the dialogue.
const (
	Built = "built"
	Go    = "go"
)
