package runtime

import "cmp"

// Limits are what the kernel holds a container to. Zero means what Filled says, never "unlimited".
type Limits struct {
	Disk   int64 // bytes of the site's file system
	Inodes int64 // files and folders; more than its disk can hold wait for a bigger one
	Memory int64 // bytes, swap excluded (there is none)
	CPU    int   // thousandths of a core
	Procs  int   // processes and threads

	IO        int64 // bytes a second its disk reads, and as many that it writes
	Files     int   // open files of each process
	Watches   int   // files and folders watched by inotify
	Terminals int   // pseudo-terminals
	Tmp       int64 // bytes of each of /tmp, /run and /dev/shm; what lies there counts as memory too

	Connections int // open to the world at a time
	Rate        int // new connections to the world a second
}

// filling is what a site is held to where nobody said otherwise: enough for a small site with a database, little enough
// that hundreds of them fit on one machine.
var filling = Limits{
	Disk: 1 << 30, Inodes: 65536, Memory: 256 << 20, CPU: 1000, Procs: 128,
	IO: 64 << 20, Files: 16384, Watches: 65536, Terminals: 64,
}

// leastTmp is what programs expect of /tmp even in a small site.
const leastTmp = 8 << 20

// Filled is l with a number wherever it has none. Connections and Rate stay: they follow the policy of the segment.
func (l Limits) Filled() Limits {
	l.Disk, l.Inodes = cmp.Or(l.Disk, filling.Disk), cmp.Or(l.Inodes, filling.Inodes)
	l.Memory, l.CPU, l.Procs = cmp.Or(l.Memory, filling.Memory), cmp.Or(l.CPU, filling.CPU), cmp.Or(l.Procs, filling.Procs)
	l.IO, l.Files = cmp.Or(l.IO, filling.IO), cmp.Or(l.Files, filling.Files)
	l.Watches, l.Terminals = cmp.Or(l.Watches, filling.Watches), cmp.Or(l.Terminals, filling.Terminals)
	l.Tmp = cmp.Or(l.Tmp, max(l.Memory/4, leastTmp))
	return l
}
