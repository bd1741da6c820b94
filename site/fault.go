package site

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"petitpont/runtime"
)

// faultOf says what an error of the runtime means for the owner of s. took is how long the attempt lasted.
func faultOf(s Site, memory int64, err error, took time.Duration) *Fault {
	f := &Fault{Args: Args{"s": s.Name}}
	var start *runtime.StartError
	var known *Error
	switch {
	case errors.As(err, &known):
		f.Code = known.Code
	case errors.As(err, &start):
		f.Log = start.Log
		f.Code = startCodes[start.Reason]
	case errors.Is(err, runtime.ErrNoSpace):
		f.Code = CodeHostDisk
	case errors.Is(err, runtime.ErrNoTemplate):
		f.Code = CodeNoTemplate
	case errors.Is(err, runtime.ErrDown):
		f.Code = CodeRuntimeDown
	case errors.Is(err, runtime.ErrNotExist):
		f.Code = CodeDiskMissing
	case errors.Is(err, context.DeadlineExceeded):
		f.Code = CodeSilent
	}
	if f.Code == "" {
		f.Code = CodeUnexpected
	}
	return f.fill(s, memory, took)
}

// startCodes translate the reasons of a start.
var startCodes = map[runtime.StartReason]Code{
	runtime.ReasonEnded:  CodeServerEnded,
	runtime.ReasonSilent: CodeSilent,
	runtime.ReasonMemory: CodeSiteMemory,
	runtime.ReasonDisk:   CodeDiskBroken,
}

// fill adds what the sentence of the code has places for, and the reference that stands in the log.
func (f *Fault) fill(s Site, memory int64, took time.Duration) *Fault {
	f.Ref = newRef()
	f.Args["ref"] = f.Ref
	switch f.Code {
	case CodeSilent:
		f.Args["n"] = strconv.Itoa(max(1, int(took.Round(time.Second)/time.Second)))
	case CodeSiteMemory:
		f.Args["m"] = fmt.Sprintf("%d MiB", memory>>20)
	case CodeNoTemplate:
		f.Args["t"] = s.Stack.Template
	}
	return f
}

// asError is the fault as the answer to a call.
func (f *Fault) asError(err error) *Error { return &Error{Code: f.Code, Args: f.Args, Err: err} }

// newRef is short enough to be read out: 7F3A-21.
func newRef() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToUpper(fmt.Sprintf("%x-%x", b[:2], b[2:]))
}

func notFound() *Error { return &Error{Code: CodeNotFound} }

func busy(s Site) *Error {
	return &Error{Code: CodeBusy, Args: Args{"s": s.Name, "action": string(s.State)}}
}
