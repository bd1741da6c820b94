// Package probe attacks the box it runs in. It is sent in by the self-check, as a descriptor, and tries what a hostile
// tenant would: as the box's root and as the site's own user.
//
//	petitpont selfcheck            the box
//	  World on stdin   ------->    petitpont-box probe          runs each probe in a process of its own, with a deadline
//	                                 └ petitpont-box probe NAME
//	  []Finding        <-------    on stdout
//
// A probe stops at the door: where opening shows that the way is free, it does not go in. What it fills or forks is its
// own site's. It says what it got; nothing means refused. Of some the host has to say what arrived: those are Seen.
package probe

import "slices"

// World is what the host prepared for its probes to miss.
type World struct {
	Secret       string   // what stands in HostFile
	HostFile     string   // path on the host, readable by all there
	HostName     string   // of the host
	Process      string   // one of the host's, as ProcessAt tells it
	HostDisk     string   // path on the host of the neighbour's disk, readable by the host's root only
	Abstract     string   // name of an abstract unix socket of the host's
	SharedKey    int      // key of a SysV shared memory of the host's, readable by all
	Host         []string // address:port at which the host listens, one for each of its addresses
	Neighbour    []string // the same of another site
	NeighbourMAC string
	Closed       []string // addresses nobody may reach: metadata services, private networks, mail
	Forge4       string   // another site's addresses, to be forged
	Forge6       string
	Gateway4     string // where forged packets go
	Gateway6     string
	Limits       Limits
	Shared       string // path of a file that all sites have from one template; changed only by its last byte
	SharedToo    string // another
	Prepared     string // path of a setuid copy that the root's turn leaves for the user's
}

// Limits are what the site is told it has. A resource probe tries to get clearly more.
type Limits struct {
	Memory, Disk, Inodes, Tmp         int64
	Procs, Files, Terminals, Watchers int
	CPU                               int // thousandths of a core
	Queues                            int // bytes in POSIX message queues
}

// Kind sorts probes by what it would mean that they get through.
type Kind string

// The kinds.
const (
	Escape    Kind = "escape"    // rights over the host
	Surface   Kind = "surface"   // code of the kernel that a site has no business with can be reached
	Leak      Kind = "leak"      // something of the host's or of others can be read
	Neighbour Kind = "neighbour" // another site, the host's services, or the network's word for who is who
	Budget    Kind = "budget"    // more than its share
)

// Who a probe makes sense for.
type Who int

// The identities of a box.
const (
	Both Who = iota
	RootOnly
	WebOnly
	Raised // the host itself, in the network of the site: the first wall is lifted, to see that the second one holds
)

// Probe is one attack.
type Probe struct {
	Name  string
	Kind  Kind
	About string   // what is tried, in half a sentence
	Wall  string   // the one protection it checks
	Also  []string // further walls that hold it off too: only without all of them can it get through
	Who   Who
	Seen  bool   // the host sees whether it got through
	Dies  bool   // being killed, or unable to start a thread, is how it is held off
	After func() // takes away what it may have left behind, whatever became of it
	try   func(World) (got string, err error)
}

// For tells whether the probe is tried in the box as root, or as the site's user.
func (p Probe) For(root bool) bool {
	switch p.Who {
	case RootOnly:
		return root
	case WebOnly:
		return !root
	case Raised:
		return false
	}
	return true
}

// Finding is what came of one probe.
type Finding struct {
	Name string `json:"name"`
	Got  string `json:"got,omitempty"`   // it got through: what it has now
	Err  string `json:"error,omitempty"` // it could not be tried
}

// All is every probe, in the order they run: those that exhaust something come last.
func All() []Probe {
	return slices.Concat(escapes, pages, doors, surfaces, loading, leaks, neighbours, raised, budgets, shared, last)
}

// Find returns the probe of that name.
func Find(name string) (Probe, bool) {
	all := All()
	i := slices.IndexFunc(all, func(p Probe) bool { return p.Name == name })
	if i < 0 {
		return Probe{}, false
	}
	return all[i], true
}

// Mark is the payload by which the host recognises a probe's packets.
func Mark(name string) []byte { return []byte("petitpont probe <" + name + ">") }
