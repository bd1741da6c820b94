package site

import (
	"time"

	"petitpont/runtime"
)

// Role decides the plan. It comes from the directory's groups.
type Role string

// The roles of R50.
const (
	Student     Role = "student"
	Teacher     Role = "teacher"
	Association Role = "association"
)

// Identity is a person who has proved who they are. It is minted in one place, the Directory behind Login, and carried
// whole from there on; names typed by users are dropped at that point (RULE ID).
type Identity struct {
	Key   string // entryUUID or DN: stable, logins are reused
	Login string // canonical, from the directory's entry, never from the form
	Name  string // for display
	Mail  string
	Role  Role
	Admin bool
	Epoch int64 // grows when the person's live sessions must end (RULE EPOCH)
}

// Plan is what a role may have.
type Plan struct {
	Sites   int // how many
	Limits  runtime.Limits
	Idle    time.Duration // asleep after so long without use; 0 never sleeps
	Segment string
}
