package site

import (
	"errors"
	"fmt"
)

// Code is what went wrong, as a word that every door can translate. The sentences stand in views/i18n,
// under the same word; the numbers are those of the message catalogue.
type Code string

// The codes.
const (
	CodeWrongPassword Code = "wrong-password" // M01
	CodeTooManyTries  Code = "too-many-tries" // M02 s
	CodeDirectoryDown Code = "directory-down" // M03
	CodeDirectoryDeny Code = "directory-deny" // M04
	CodeNoRole        Code = "no-role"        // M05 login
	CodeSession       Code = "session"        // M07
	CodeForeignForm   Code = "foreign-form"   // M08
	CodeNotFound      Code = "not-found"      // M09
	CodeNameTaken     Code = "name-taken"     // M10 n, a, b
	CodeNameReserved  Code = "name-reserved"  // M11 n, a
	CodeNameBad       Code = "name-bad"       // M12 c, fix
	CodeQuota         Code = "quota"          // M18 n
	CodeHostMemory    Code = "host-memory"    // M20
	CodeHostDisk      Code = "host-disk"      // M21
	CodeNoTemplate    Code = "no-template"    // M22 t
	CodeSilent        Code = "silent"         // M23 s, n
	CodeServerEnded   Code = "server-ended"   // M24 s: its web server ended; the log says why
	CodeSiteMemory    Code = "site-memory"    // M27 s, m
	CodeLooping       Code = "looping"        // M28 s, n, cause
	CodeTyped         Code = "typed"          // M37 x, s
	CodeBusy          Code = "busy"           // M47 s, action
	CodeSessions      Code = "sessions"       // s, n: it has as many file sessions as it may have
	CodeForbidden     Code = "forbidden"      // M51
	CodeRuntimeDown   Code = "runtime-down"   // the runtime process does not answer
	CodeDiskBroken    Code = "disk-broken"    // s: its disk is there and cannot be attached
	CodeDiskMissing   Code = "disk-missing"   // s: its disk is not there; it never gets a fresh empty one
	CodeStopped       Code = "stopped"        // the owner stopped it: a visit does not wake it
	CodeStack         Code = "stack"          // a combination that is not offered
	CodeLimitSize     Code = "limit-size"     // limit, least, most: bytes
	CodeLimitCount    Code = "limit-count"    // limit, least, most
	CodeDiskShrinks   Code = "disk-shrinks"   // s, size: a disk never gets smaller
	CodeDiskGrow      Code = "disk-grow"      // s: the host has no room for a larger one
	CodeTemplateUsed  Code = "template-used"  // v, n, sites: it cannot be retired
	CodeTemplateNew   Code = "template-new"   // v: it has not passed its test
	CodeTemplateBusy  Code = "template-busy"  // v: a version is being built or tested
	CodeTemplateTest  Code = "template-test"  // v: its test failed; the log says why
	CodeTemplateBuild Code = "template-build" // t: it could not be built
	CodeNoVersion     Code = "no-version"     // v: there is no such version
	CodeUnexpected    Code = "unexpected"     // M57 ref
)

// Args fill the {placeholders} of a sentence.
type Args map[string]string

// Error is what a person can act on. Everything else stays a wrapped error and becomes CodeUnexpected at the door.
type Error struct {
	Code Code
	Args Args
	Err  error // cause, for the log only; may be nil
}

func (e *Error) Error() string {
	s := string(e.Code)
	if len(e.Args) > 0 {
		s += fmt.Sprintf(" %v", e.Args)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// isCode tells whether err is, or wraps, an Error of that code.
func isCode(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
