// Package site is the heart: what a site is, who may do what with it, and how it comes, wakes, sleeps and goes.
//
// One *Service satisfies the small interfaces that the doors (app, proxy, sshgate) declare for themselves.
// It knows no HTTP, no SSH and no SQL, and not which driver runs below it.
package site

import (
	"time"

	"petitpont/runtime"
)

// ID names a site for ever and everywhere outside a person's sight: [a-z0-9]{10}. It is also the container ID,
// the cgroup leaf and the interface name. User-made strings never take its place (RULE ARG).
type ID string

// Site is one row of the register.
type Site struct {
	ID         ID
	Name       string // label of its host name, unique, 3 to 40 of [a-z0-9-]
	Owner      string // Identity.Key
	OwnerLogin string // for display, and for the admin's search
	Role       Role   // the owner's role when it was made: decides plan and segment
	Stack      Stack
	Password   Secret         // of its database, for the Store alone: what Service answers never has it
	Own        runtime.Limits // limits an admin gave it; zero fields follow the plan
	Kept       string         // version it could not move to; "" when there is none
	KeptFault  *Fault         // why it did not start there; nil when its packages kept it from moving
	MovedFrom  string         // version it started on last, until it has on the one it moved to; "" otherwise
	Slot       int            // small integer, unique: addresses and UID range follow from it
	Want       Want
	State      State
	Fault      *Fault // why State is Failed; nil otherwise
	Epoch      int64  // grows when live sessions on it must end (RULE EPOCH)
	CreatedAt  time.Time
	MadeAt     time.Time // when its disk was complete; zero: it never had one
	ChangedAt  time.Time // last change of State
	UsedAt     time.Time // last visit or file session
}

// Stack is what the create form chooses.
type Stack struct {
	Template string // "web"
	Server   string // "nginx", "apache", "caddy"
	Language string // "php", "python", "node", "none"
	Database string // "mariadb", "postgresql", "none"
}

// Fault is why a site failed, in a form that can be said in any language.
type Fault struct {
	Code Code
	Args Args
	Log  string // last lines of its services; the tenant's text (RULE TEXT)
	Ref  string // reference that also stands in the log, as 7F3A-21
}

// Want is what people asked for.
type Want string

// What people can ask for.
const (
	Up   Want = "up"
	Down Want = "down" // stopped by a person: a visit does not wake it
	Gone Want = "gone"
)

// State is where a site is. One table, one step, one writer: see state.go.
type State string

// The states. "Asleep with Want down" is what pages call stopped.
const (
	Creating State = "creating"
	Asleep   State = "asleep"
	Waking   State = "waking"
	Awake    State = "awake"
	Dozing   State = "dozing" // frozen for a short while
	Stopping State = "stopping"
	Failed   State = "failed"
	Deleting State = "deleting"
)
