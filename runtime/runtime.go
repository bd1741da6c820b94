// Package runtime is the contract between the heart of petitpont and whatever runs a site's container.
//
// It knows containers, not people: no owner, no host name, no HTTP, no SSH. It imports the standard library only,
// so that a driver can be written without pulling the product in. drivertest is this contract as tests.
package runtime

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"
)

// Spec is all a driver needs to make a container. The driver keeps it beside the container's disk and
// answers later calls from there: nobody hands it in twice.
type Spec struct {
	ID       string   // [a-z0-9]{10}, minted by us: the only name a driver puts into paths, cgroups and interfaces (RULE ARG)
	Template string   // template name; Create pins the newest published version for the container's life (RULE PIN)
	Slot     int      // small integer, unique while the container exists: UID range, IPv4, IPv6 and MAC all follow from it
	Segment  string   // network segment: "student", "teacher", "association"
	Hostname string   // host name inside, [a-z0-9-]{1,63}
	Services []string // names from the template's manifest, in start order; stopped in reverse, so databases come last
	Env      []string // KEY=value, given to every service
	Limits   Limits
}

// Status is what a driver sees, never what someone wishes.
type Status int

// The four things a driver can see. A box that stands open for Files only is Stopped: no service runs in it.
const (
	Absent Status = iota
	Stopped
	Running
	Frozen
)

func (s Status) String() string {
	switch s {
	case Absent:
		return "absent"
	case Stopped:
		return "stopped"
	case Running:
		return "running"
	case Frozen:
		return "frozen"
	}
	return "unknown"
}

// Info is one container as List sees it.
type Info struct {
	ID        string
	Slot      int
	Template  string // name@version it is pinned to
	Status    Status
	Addr      netip.AddrPort // where its web server listens, valid while Running or Frozen
	StartedAt time.Time      // zero unless Running or Frozen
	Waits     bool           // it runs with settings that were changed since, and that hold at its next start only
}

// Usage is a reading of the kernel's counters, beside what they are held to. While nothing runs only Disk, Inodes and the
// limits are not zero.
type Usage struct {
	Memory, MemoryMax       int64         // bytes
	Disk, DiskMax           int64         // bytes
	Inodes, InodesMax       int64         // files and folders
	Procs, ProcsMax         int           // processes and threads
	CPU                     time.Duration // processor time since the start
	Files, FilesMax         int           // open files of the process that has most of them
	Terminals, TerminalsMax int           // pseudo-terminals
	Tmp, TmpMax             int64         // bytes in the fullest of /tmp, /run and /dev/shm
}

// Exit tells that a container which had been running ended without having been asked to.
type Exit struct {
	ID  string
	At  time.Time
	OOM bool   // the kernel killed it, or a process of it, for memory
	Log string // the last lines its services wrote, at most 4 KiB
}

// Cmd is a program to run inside a container. Nothing of it is looked at outside.
type Cmd struct {
	Argv []string // Argv[0] is looked up in the container
	Env  []string
	Dir  string // in the container; "" is the user's home
	Root bool   // as the container's root; else as the site's own user
	TTY  bool
	Rows uint16 // with TTY
	Cols uint16 // with TTY
}

// Process is a running Cmd. With a TTY, Stderr is nil and Stdout carries both.
type Process interface {
	Stdin() io.WriteCloser
	Stdout() io.Reader
	Stderr() io.Reader
	Resize(rows, cols uint16) error
	Wait() (code int, err error) // 128+n when signal n ended it
	Close() error                // hangs up: the process gets SIGHUP, then SIGKILL
}

// Driver runs containers. Calls about one ID are serialised by the caller; calls about different IDs may overlap.
// Every call is safe to repeat: asking for what is already so is a no-op, unless said otherwise.
type Driver interface {
	// Create makes the disk and remembers the Spec. ErrExist if the ID is known, ErrNoTemplate, ErrNoSpace.
	// Nothing is left behind after an error.
	Create(ctx context.Context, s Spec) error
	// Start returns once the site's own web server has answered HTTP, with the address it answers at.
	// A StartError says why it did not; nothing is left running then.
	Start(ctx context.Context, id string) (netip.AddrPort, error)
	// Freeze stops the container's processes where they stand; Thaw lets them go on.
	Freeze(ctx context.Context, id string) error
	Thaw(ctx context.Context, id string) error
	// Stop ends the services in reverse order, waits up to grace, then kills what remains. Works on a frozen one.
	// Open Files sessions go on.
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Destroy kills everything, closes open Files sessions and removes the disk. Destroying an absent one is a no-op.
	Destroy(ctx context.Context, id string) error
	// SetLimits changes limits, also of a running container. A disk never shrinks, and a container that has more files
	// than its new limit keeps the old one: Usage tells what holds.
	SetLimits(ctx context.Context, id string, l Limits) error
	// SetEnv changes what its services are told, from the next start on: what runs keeps what it began with, and its Info
	// says that it Waits. ErrInvalid for what is no KEY=value.
	SetEnv(ctx context.Context, id string, env []string) error
	// List sees every container of this driver, in any state.
	List(ctx context.Context) ([]Info, error)
	Usage(ctx context.Context, id string) (Usage, error)
	// Exits tells of ends nobody asked for, until ctx ends. Slow readers lose the oldest, never block the driver.
	Exits(ctx context.Context) <-chan Exit
	// Files opens an SFTP version 3 server that runs inside the container as the site's own user, rooted in its home
	// (RULE NS). A stopped container is not started by it. Closing the connection ends the server.
	Files(ctx context.Context, id string) (net.Conn, error)
	// Exec runs a program in the container, which must be running.
	Exec(ctx context.Context, id string, c Cmd) (Process, error)
	// Dial opens a TCP connection to the container's own loopback. The container must be running.
	Dial(ctx context.Context, id string, port uint16) (net.Conn, error)
	// Ledger is what has been promised of the disks' volume, and what may still be.
	Ledger(ctx context.Context) (Ledger, error)
	// Strays lists what is left of containers that the driver does not know, and that List cannot show.
	Strays(ctx context.Context) ([]Stray, error)
	// Templates lists what Create can use.
	Templates(ctx context.Context) ([]Template, error)
}

// Template is a published root file system.
type Template struct {
	Name     string
	Version  string
	BuiltAt  time.Time
	Bytes    int64
	Services []string
}
