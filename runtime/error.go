package runtime

import "errors"

// What a driver can say. Everything else comes wrapped with the step that failed.
var (
	ErrNotExist   = errors.New("no such container")
	ErrExist      = errors.New("container exists")
	ErrNotRunning = errors.New("container is not running")
	ErrNoTemplate = errors.New("no such template")
	ErrNoSpace    = errors.New("not enough disk on the host")
	ErrInvalid    = errors.New("invalid spec")
	ErrRunning    = errors.New("container is running")                // Move
	ErrChanged    = errors.New("container has packages of its own")   // Move
	ErrInUse      = errors.New("sites are pinned to the version")     // RetireTemplate
	ErrUntested   = errors.New("the version has not passed its test") // PublishTemplate
	ErrDown       = errors.New("runtime is not answering")            // runtime/remote only
)

// StartError says why a container did not come up.
type StartError struct {
	Reason StartReason
	Log    string // the last lines its services wrote, at most 4 KiB; tenant's text, never markup (RULE TEXT)
	Err    error  // may be nil
}

// StartReason is the first cause found.
type StartReason string

// Why a start fails.
const (
	ReasonEnded  StartReason = "ended"  // a service, or the whole container, ended
	ReasonSilent StartReason = "silent" // nothing answered HTTP before the deadline
	ReasonMemory StartReason = "memory" // killed for memory
	ReasonDisk   StartReason = "disk"   // its disk could not be attached
)

func (e *StartError) Error() string {
	s := "container did not start: " + string(e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *StartError) Unwrap() error { return e.Err }
