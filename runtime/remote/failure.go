package remote

import (
	"context"
	"errors"

	"petitpont/runtime"
)

// failure is an error on its way: its text, the sentinels it is, and the StartError it holds, if any.
type failure struct {
	Text  string   `json:"text"`
	Is    []string `json:"is,omitempty"`
	Start *start   `json:"start,omitempty"`
}

// start is a runtime.StartError; Log is the tenant's and need not be UTF-8.
type start struct {
	Reason runtime.StartReason `json:"reason"`
	Log    []byte              `json:"log,omitempty"`
	Err    *failure            `json:"err,omitempty"`
}

// sentinels are the errors that keep their identity, by their names on the wire.
var sentinels = []struct {
	name string
	err  error
}{
	{"not-exist", runtime.ErrNotExist},
	{"exist", runtime.ErrExist},
	{"not-running", runtime.ErrNotRunning},
	{"no-template", runtime.ErrNoTemplate},
	{"no-space", runtime.ErrNoSpace},
	{"invalid", runtime.ErrInvalid},
	{"running", runtime.ErrRunning},
	{"changed", runtime.ErrChanged},
	{"in-use", runtime.ErrInUse},
	{"untested", runtime.ErrUntested},
	{"down", runtime.ErrDown},
	{"version", ErrVersion},
	{"canceled", context.Canceled},
	{"deadline", context.DeadlineExceeded},
}

// packError writes err down; nil stays nil.
func packError(err error) *failure {
	if err == nil {
		return nil
	}
	f := plainFailure(err)
	if s, ok := errors.AsType[*runtime.StartError](err); ok {
		f.Start = &start{Reason: s.Reason, Log: tail(s.Log, maxLog)}
		if s.Err != nil {
			f.Start.Err = plainFailure(s.Err)
		}
	}
	return f
}

func plainFailure(err error) *failure {
	text := err.Error()
	f := &failure{Text: text[:min(len(text), maxText)]}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			f.Is = append(f.Is, s.name)
		}
	}
	return f
}

// unpack gives the error back: the same text, the same answers to errors.Is and errors.As.
func (f *failure) unpack() error {
	if f == nil {
		return nil
	}
	e := &remoteError{text: f.Text}
	if s := f.Start; s != nil {
		// A StartError below a StartError says nothing new: one level is carried, and a hostile line cannot nest.
		cause := &runtime.StartError{Reason: s.Reason, Log: string(s.Log)}
		if s.Err != nil {
			cause.Err = (&failure{Text: s.Err.Text, Is: s.Err.Is}).unpack()
		}
		e.causes = append(e.causes, cause)
	}
	for _, s := range sentinels {
		for _, name := range f.Is {
			if name == s.name {
				e.causes = append(e.causes, s.err)
			}
		}
	}
	return e
}

// remoteError is an error that happened in the root process.
type remoteError struct {
	text   string
	causes []error
}

func (e *remoteError) Error() string   { return e.text }
func (e *remoteError) Unwrap() []error { return e.causes }
