package remote

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"petitpont/runtime"
)

// The root process believes nothing: each field is looked at again before a driver sees it, whoever sent it (RULE SPLIT).
var (
	idShape      = regexp.MustCompile(`^[a-z0-9]{10}$`)
	nameShape    = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`) // templates and services
	segmentShape = regexp.MustCompile(`^[a-z]{1,16}$`)
	versionShape = regexp.MustCompile(`^[0-9a-z][0-9a-z.-]{0,31}$`)
	hostShape    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	envShape     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}=`)
)

const (
	maxSlot  = (1<<32-1-1_000_000)/65_536 - 1 // the last whole UID range (see Spec.Slot)
	maxGrace = 10 * time.Minute
	maxItems = 4096 // of argv and of an environment
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{runtime.ErrInvalid}, args...)...)
}

// validate checks what every call and then this call needs.
func (q request) validate() error {
	call, ok := calls[q.Call]
	if !ok {
		return invalid("no call %.20q", q.Call)
	}
	if call.about && !idShape.MatchString(q.ID) {
		return invalid("id %.20q", q.ID)
	}
	if call.check == nil {
		return nil
	}
	return call.check(q)
}

func checkSpec(q request) error {
	s := q.Spec
	switch {
	case s == nil:
		return invalid("no spec")
	case s.ID != q.ID:
		return invalid("spec is of another id")
	case !nameShape.MatchString(s.Template):
		return invalid("template %.80q", s.Template)
	case s.Slot < 0 || s.Slot > maxSlot:
		return invalid("slot %d", s.Slot)
	case !segmentShape.MatchString(s.Segment):
		return invalid("segment %.20q", s.Segment)
	case !hostShape.MatchString(s.Hostname):
		return invalid("host name %.80q", s.Hostname)
	}
	if err := checkServices(s.Services); err != nil {
		return err
	}
	if err := checkEnv(s.Env); err != nil {
		return err
	}
	return limits(s.Limits)
}

func checkServices(names []string) error {
	if len(names) > 64 {
		return invalid("%d services", len(names))
	}
	for _, n := range names {
		if !nameShape.MatchString(n) {
			return invalid("service %.80q", n)
		}
	}
	return nil
}

func checkEnv(env []string) error {
	if len(env) > maxItems {
		return invalid("%d variables", len(env))
	}
	for _, e := range env {
		if !envShape.MatchString(e) || strings.ContainsRune(e, 0) {
			return invalid("variable %.20q", e)
		}
	}
	return nil
}

func checkTemplate(q request) error {
	if !nameShape.MatchString(q.Template) {
		return invalid("template %.80q", q.Template)
	}
	return nil
}

func checkVersioned(q request) error {
	if err := checkTemplate(q); err != nil {
		return err
	}
	return checkMove(q)
}

func checkMove(q request) error {
	if !versionShape.MatchString(q.Version) {
		return invalid("version %.40q", q.Version)
	}
	return nil
}

func checkLimits(q request) error {
	if q.Limits == nil {
		return invalid("no limits")
	}
	return limits(*q.Limits)
}

func limits(l runtime.Limits) error {
	const most = 1 << 50
	for _, n := range []int64{
		l.Disk, l.Inodes, l.Memory, int64(l.CPU), int64(l.Procs), l.IO, int64(l.Files),
		int64(l.Watches), int64(l.Terminals), l.Tmp, int64(l.Connections), int64(l.Rate),
	} {
		if n < 0 || n > most {
			return invalid("limit %d", n)
		}
	}
	return nil
}

func checkGrace(q request) error {
	if q.Grace < 0 || q.Grace > maxGrace {
		return invalid("grace %v", q.Grace)
	}
	return nil
}

func checkPort(q request) error {
	if q.Port == 0 {
		return invalid("port 0")
	}
	return nil
}

func checkCommand(q request) error {
	c := q.Cmd
	if c == nil || len(c.Argv) == 0 || len(c.Argv[0]) == 0 {
		return invalid("no program")
	}
	if len(c.Argv) > maxItems || len(c.Env) > maxItems {
		return invalid("command too long")
	}
	for _, list := range [][][]byte{c.Argv, c.Env, {c.Dir}} {
		for _, s := range list {
			if bytes.IndexByte(s, 0) >= 0 {
				return invalid("NUL in command")
			}
		}
	}
	return nil
}
