package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"petitpont/runtime"
)

func TestErrorsKeepTheirIdentity(t *testing.T) {
	for _, s := range sentinels {
		err := carried(t, fmt.Errorf("mount image: %w", s.err))
		for _, other := range sentinels {
			if errors.Is(err, other.err) != (other.err == s.err) {
				t.Errorf("%v is %v: %v", err, other.err, errors.Is(err, other.err))
			}
		}
		if want := "mount image: " + s.err.Error(); err.Error() != want {
			t.Errorf("it says %q, want %q", err, want)
		}
	}
}

func TestStartErrorKeepsReasonAndLog(t *testing.T) {
	log := strings.Repeat("x", maxLog) + "the \xff end"
	sent := &runtime.StartError{Reason: runtime.ReasonDisk, Log: log, Err: fmt.Errorf("clone: %w", runtime.ErrNoSpace)}
	err := carried(t, fmt.Errorf("start: %w", sent))
	got, ok := errors.AsType[*runtime.StartError](err)
	if !ok {
		t.Fatalf("%v is no StartError", err)
	}
	if got.Reason != sent.Reason || got.Log != log[len(log)-maxLog:] {
		t.Errorf("reason %q, log of %d bytes", got.Reason, len(got.Log))
	}
	if !errors.Is(err, runtime.ErrNoSpace) || !errors.Is(got.Err, runtime.ErrNoSpace) || got.Error() != sent.Error() {
		t.Errorf("its cause became %v", got)
	}
}

func TestOtherErrorsKeepTheirText(t *testing.T) {
	err := carried(t, errors.New("the « bridge » is on fire"))
	if err.Error() != "the « bridge » is on fire" || errors.Is(err, runtime.ErrDown) {
		t.Errorf("got %v", err)
	}
	if long := carried(t, errors.New(strings.Repeat("y", 1<<20))); len(long.Error()) != maxText {
		t.Errorf("a text of %d bytes came through", len(long.Error()))
	}
	if carried(t, nil) != nil {
		t.Error("no error became one")
	}
}

// carried sends err through a line.
func carried(t *testing.T, err error) error {
	t.Helper()
	near, far := pair(t)
	if err := near.write(answer{V: Version, Done: true, Err: packError(err)}); err != nil {
		t.Fatal(err)
	}
	line, readErr := far.readLine(maxAnswer)
	if readErr != nil {
		t.Fatal(readErr)
	}
	a, parseErr := parseAnswer(line)
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	return a.Err.unpack()
}

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		sent string
		want []string
		err  error
	}{
		"two in one packet":       {"a\nb\n", []string{"a", "b"}, io.EOF},
		"an empty one":            {"\n", []string{""}, io.EOF},
		"one without an end":      {"abc", nil, io.EOF},
		"as long as may be":       {"0123456789\n", []string{"0123456789"}, io.EOF},
		"too long":                {"0123456789a\n", nil, errTooLong},
		"too long without an end": {strings.Repeat("z", 1<<16), nil, errTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := pair(t)
			go func() {
				_, _ = io.WriteString(near.conn, c.sent)
				_ = near.conn.CloseWrite()
			}()
			for _, want := range c.want {
				if got, err := far.readLine(10); err != nil || string(got) != want {
					t.Fatalf("got %q, %v, want %q", got, err, want)
				}
			}
			if _, err := far.readLine(10); !errors.Is(err, c.err) {
				t.Errorf("then %v, want %v", err, c.err)
			}
		})
	}
}

func TestCommandsKeepTheirBytes(t *testing.T) {
	c := runtime.Cmd{Argv: []string{"tar", "x", "caf\xe9.html", ""}, Env: []string{"A=\xff"}, Dir: "/\xfe", TTY: true, Rows: 3, Cols: 4}
	near, far := pair(t)
	if err := near.write(request{V: Version, Call: "exec", ID: "abcdefghij", Cmd: packCommand(c)}); err != nil {
		t.Fatal(err)
	}
	line, err := far.readLine(maxRequest)
	if err != nil {
		t.Fatal(err)
	}
	q, err := parseRequest(line)
	if err != nil || q.validate() != nil {
		t.Fatal(err, q.validate())
	}
	if got := q.Cmd.unpack(); !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v, want %+v", got, c)
	}
}

func TestLocksForgetWhatNobodyHolds(t *testing.T) {
	var l locks
	unlock, err := l.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.lock(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("a second one got %v", err)
	}
	unlock()
	if len(l.held) != 0 {
		t.Errorf("%d locks are left", len(l.held))
	}
}

// FuzzRequest: whatever line comes, what passes the checks is safe to hand to a driver.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"v":3,"call":"start","id":"abcdefghij"}`,
		`{"v":3,"call":"create","id":"abcdefghij","spec":{"ID":"abcdefghij","Template":"web","Segment":"student","Hostname":"h"}}`,
		`{"v":3,"call":"exec","id":"abcdefghij","cmd":{"argv":["YQ=="]}}`,
		`{"v":3,"call":"dial","id":"../../etcx","port":80}`,
		`{"v":3,"anything":[]}`, `{"v":3}{"v":3}`, `nul`, "\x00", `{"v":3,"call":"stop","id":"abcdefghij","grace":-1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		q, err := parseRequest(line)
		if err != nil || q.validate() != nil {
			return
		}
		if calls[q.Call].about && !idShape.MatchString(q.ID) {
			t.Errorf("id %q passed", q.ID)
		}
		if q.Call == "create" && (q.Spec.ID != q.ID || strings.ContainsAny(q.Spec.Template+q.Spec.Hostname, "/\n\x00") ||
			strings.Contains(q.Spec.Template, "..")) {
			t.Errorf("spec %+v passed", *q.Spec)
		}
		if q.Call == "exec" && bytes.Contains(bytes.Join(q.Cmd.Argv, nil), []byte{0}) {
			t.Errorf("argv %q passed", q.Cmd.Argv)
		}
	})
}

// FuzzAnswer: a client survives whatever a server says.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"v":3,"done":true,"err":{"text":"x","is":["exist"],"start":{"reason":"disk","err":{"text":"y"}}}}`))
	f.Add([]byte(`{"v":3,"exit":{"id":"a","at":"2026-01-02T03:04:05Z","log":"AA=="}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := parseAnswer(line)
		if err != nil {
			return
		}
		if err := a.Err.unpack(); err != nil {
			again := packError(err).unpack()
			if len(a.Err.Text) <= maxText && again.Error() != err.Error() {
				t.Errorf("%q became %q", err, again)
			}
		}
		if a.Exit != nil {
			_ = a.Exit.unpack()
		}
	})
}

func pair(t testing.TB) (near, far *wire) {
	t.Helper()
	a, f, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	b, err := asConn(f)
	if err != nil {
		t.Fatal(err)
	}
	near, far = newWire(unixConn(a)), newWire(unixConn(b)).takeFiles()
	t.Cleanup(near.close)
	t.Cleanup(far.close)
	return near, far
}
