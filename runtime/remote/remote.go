// Package remote is a runtime.Driver and a runtime.Keeper whose calls cross a unix socket, so that the process which faces the world needs
// no privilege and the process which holds the containers faces nobody (RULE SPLIT).
//
// One call is one connection. Requests, reports and answers are lines of JSON; open files travel beside an answer with
// SCM_RIGHTS, so bytes of a file session, a terminal or a visit never pass through the root process:
//
//	client (serve)                              server (runtime, root)
//	connect ─────────────────────────────────▶ SO_PEERCRED against the allowed users, before a byte is read
//	{"v":3,"call":"start","id":"…"} ──────────▶ every field checked, then the lock of that ID, then the driver
//	        ◀───────────────────────────────── {"v":3,"step":"network"}            Create and Start only
//	        ◀───────────────────────────────── {"v":3,"done":true,"addr":"…"}      [+ descriptors]
//	close  ──────────────────────────────────▶ cancels the call's ctx, if it still runs
//
// After the answer to Exec the connection stays open as the process's control channel:
//
//	{"rows":40,"cols":120} ──────────────────▶ Resize
//	        ◀───────────────────────────────── {"v":3}
//	{"hangup":true}, or close ───────────────▶ Close
//	        ◀───────────────────────────────── {"v":3,"done":true,"code":0}         Wait
//
// A server of another version answers with an error that any version can read (ErrVersion).
package remote

import (
	"errors"
	"time"
)

// Version of the conversation. It grows with every change of a line's meaning; there is no negotiation, since both
// ends come from one binary.
const Version = 3

// ErrVersion says that the two ends come from different releases. It comes with runtime.ErrDown: until the older one has
// been restarted too there is no runtime, as while it is being restarted.
var ErrVersion = errors.New("runtime process is of another version")

// What either end bears from the other.
const (
	maxRequest = 256 << 10 // bytes of a request line: argv and environment of an Exec
	maxControl = 1 << 10   // bytes of a control line of an Exec
	maxAnswer  = 16 << 20  // bytes of an answer line: a List of 50,000 containers
	maxText    = 16 << 10  // bytes of an error's text
	maxLog     = 4 << 10   // bytes of a log tail, as the contract says
	maxFiles   = 3         // descriptors beside an answer
	maxCalls   = 2048      // connections at once

	requestTime = 5 * time.Second  // from the connection to a whole request
	writeTime   = 10 * time.Second // for a line to be taken
)
