package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/remote"
)

// say sends text to the server at path and returns all it answers.
func say(t *testing.T, path, text string, fds ...int) string {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if len(fds) > 0 {
		if _, _, err := c.WriteMsgUnix([]byte(" "), unix.UnixRights(fds...), nil); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.WriteString(c, text) // the server may have hung up
	got, _ := io.ReadAll(c)
	return string(got)
}

// errorsIn tells whether an answer carries the sentinel of that name.
func errorsIn(answer, name string) bool {
	var a struct {
		Err struct{ Is []string }
	}
	return json.Unmarshal([]byte(answer), &a) == nil && slices.Contains(a.Err.Is, name)
}

func TestHostileClientsHarmNobody(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	for name, attack := range map[string]func(t *testing.T, path string){
		"garbage":                func(t *testing.T, p string) { say(t, p, "\x16\x03\x01 hello\n") },
		"a line that never ends": func(t *testing.T, p string) { say(t, p, strings.Repeat("{", 100<<20)) },
		"nothing":                func(t *testing.T, p string) { say(t, p, "") },
		"half a line":            func(t *testing.T, p string) { say(t, p, `{"v":3,"call":`) },
		"two requests":           func(t *testing.T, p string) { say(t, p, `{"v":3,"call":"list"}{"v":3,"call":"list"}`+"\n") },
		"descriptors nobody asked for": func(t *testing.T, p string) {
			say(t, p, `{"v":3,"call":"list"}`+"\n", slices.Repeat([]int{int(null.Fd())}, 200)...)
		},
		"deep nesting": func(t *testing.T, p string) { say(t, p, `{"v":3,"spec":`+strings.Repeat("[", 200_000)+"\n") },
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			r.end()
			o := remote.Options{}
			o.SetRequestTime(50 * time.Millisecond)
			serve(t, r.path, r.Driver, o)
			warm(t, r.path)
			var before int
			settle(t, &before)
			for range 3 {
				attack(t, r.path)
			}
			until(t, "every descriptor is closed", func() bool { return descriptors(t) <= before })
			warm(t, r.path)
		})
	}
}

func warm(t *testing.T, path string) {
	t.Helper()
	if _, err := remote.Dial(path).List(within(t)); err != nil {
		t.Fatal(err)
	}
}

// descriptors counts the open files of this process, in which both ends live.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestNoDescriptorIsLost(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a finalizer must not close what we forgot
	r := open(t)
	s := running(t, r)
	client, ctx := remote.Dial(r.path), within(t)
	stopped := create(t, r)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() }) // after the servers below
	path := socket(t)
	lent := &lends{sockets: newSockets()}
	serve(t, path, lent, remote.Options{})
	lending := remote.Dial(path)
	sends := func(line string, n int) string {
		return answering(t, func(c *net.UnixConn) {
			_, _, _ = c.WriteMsgUnix([]byte(line+"\n"), unix.UnixRights(slices.Repeat([]int{int(null.Fd())}, n)...), nil)
			_, _ = io.ReadAll(c)
		})
	}
	tooMany, tooFew := sends(`{"v":3,"done":true,"files":1}`, 3), sends(`{"v":3,"done":true,"files":3}`, 1)
	besideError, noSocket := sends(`{"v":3,"done":true,"err":{"text":"no"}}`, 2), sends(`{"v":3,"done":true,"files":1}`, 1)
	truncated, besideNoise := sends(`{"v":3,"done":true,"files":3}`, 40), sends(`]`, 3)
	for name, do := range map[string]func() error{
		"a visit":                     func() error { return closed(client.Dial(ctx, s.ID, 80)) },
		"a visit refused":             func() error { return failed(client.Dial(ctx, s.ID, 1)) },
		"a session":                   func() error { return closed(client.Files(ctx, s.ID)) },
		"a session on loan":           func() error { return errors.Join(closed(lending.Files(ctx, s.ID)), (<-lent.sites).Close()) },
		"a session of nobody":         func() error { return failed(client.Files(ctx, spec(1).ID)) },
		"a program":                   func() error { return run(ctx, client, s.ID, false) },
		"a program on a terminal":     func() error { return run(ctx, client, s.ID, true) },
		"a program in a stopped one":  func() error { return failed(client.Exec(ctx, stopped.ID, runtime.Cmd{Argv: []string{"true"}})) },
		"a program nobody waits for":  func() error { return closed(client.Exec(ctx, s.ID, runtime.Cmd{Argv: []string{"cat"}})) },
		"more descriptors than said":  func() error { return failed(remote.Dial(tooMany).Dial(ctx, s.ID, 80)) },
		"fewer descriptors than said": func() error { return failed(remote.Dial(tooFew).Exec(ctx, s.ID, runtime.Cmd{Argv: []string{"a"}})) },
		"descriptors with an error":   func() error { return failed(remote.Dial(besideError).Dial(ctx, s.ID, 80)) },
		"a descriptor of a file":      func() error { return failed(remote.Dial(noSocket).Dial(ctx, s.ID, 80)) },
		"more than fit":               func() error { return failed(remote.Dial(truncated).Exec(ctx, s.ID, runtime.Cmd{Argv: []string{"a"}})) },
		"descriptors with noise":      func() error { return failed(remote.Dial(besideNoise).Files(ctx, s.ID)) },
		"a call given up": func() error {
			gone, cancel := context.WithCancel(ctx)
			cancel()
			return failed(client.Files(gone, s.ID))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := do(); err != nil { // the first may open what stays, as a poller
				t.Fatal(err)
			}
			var before int
			settle(t, &before)
			for range 5 {
				if err := do(); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "every descriptor is closed", func() bool { return descriptors(t) <= before })
		})
	}
}

// settle waits until the count of descriptors has been the same for ten looks.
func settle(t *testing.T, count *int) {
	t.Helper()
	same := 0
	until(t, "descriptors settle", func() bool {
		if n := descriptors(t); n != *count {
			*count, same = n, 0
		}
		same++
		return same > 10
	})
}

func closed[C io.Closer](c C, err error) error {
	if err != nil {
		return err
	}
	return c.Close()
}

func failed[C io.Closer](c C, err error) error {
	if err == nil {
		_ = c.Close()
		return errors.New("it worked")
	}
	return nil
}

func run(ctx context.Context, d runtime.Driver, id string, tty bool) error {
	p, err := d.Exec(ctx, id, runtime.Cmd{Argv: []string{"echo", "hello"}, TTY: tty, Rows: 10, Cols: 10})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	out, err := io.ReadAll(p.Stdout())
	if code, waitErr := p.Wait(); err != nil || waitErr != nil || code != 0 || strings.TrimSpace(string(out)) != "hello" {
		return fmt.Errorf("%d, %q, %w", code, out, errors.Join(err, waitErr))
	}
	return nil
}

func TestAClientThatGoesHangsUp(t *testing.T) {
	r := open(t)
	s := running(t, r)
	c, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(c, `{"v":3,"call":"exec","id":%q,"cmd":{"argv":["c2xlZXA=","MTAwMA=="]}}`+"\n", s.ID)
	procs := func() int {
		u, err := r.Usage(within(t), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u.Procs
	}
	until(t, "the program runs", func() bool { return procs() == 2 })
	_ = c.Close()
	until(t, "the program has ended", func() bool { return procs() == 1 })
}

func TestEveryFieldIsCheckedAgain(t *testing.T) {
	good := `"Template":"web","Slot":1,"Segment":"student","Hostname":"h"`
	for name, line := range map[string]string{
		"an unknown call":          `"call":"halt","id":"abcdefghij"`,
		"no call":                  `"id":"abcdefghij"`,
		"an id that climbs":        `"call":"start","id":"../../../x"`,
		"an id with an end":        `"call":"start","id":"abcdefghij\n"`,
		"no id":                    `"call":"destroy"`,
		"no spec":                  `"call":"create","id":"abcdefghij"`,
		"a spec of another id":     `"call":"create","id":"abcdefghij","spec":{"ID":"abcdefghik",` + good + `}`,
		"a slot out of range":      `"call":"create","id":"abcdefghij","spec":{"ID":"abcdefghij","Template":"web","Slot":65520,"Segment":"student","Hostname":"h"}`,
		"a segment that is nft":    `"call":"create","id":"abcdefghij","spec":{"ID":"abcdefghij","Template":"web","Segment":"a;flush ruleset","Hostname":"h"}`,
		"a service that climbs":    `"call":"create","id":"abcdefghij","spec":{"ID":"abcdefghij",` + good + `,"Services":["../sh"]}`,
		"a NUL in the environment": `"call":"create","id":"abcdefghij","spec":{"ID":"abcdefghij",` + good + `,"Env":["A=\u0000"]}`,
		"an environment of paths":  `"call":"env","id":"abcdefghij","env":["/etc"]`,
		"limits below zero":        `"call":"limits","id":"abcdefghij","limits":{"Disk":-1}`,
		"no limits":                `"call":"limits","id":"abcdefghij"`,
		"an eternal grace":         `"call":"stop","id":"abcdefghij","grace":9000000000000000`,
		"no port":                  `"call":"dial","id":"abcdefghij"`,
		"no program":               `"call":"exec","id":"abcdefghij","cmd":{"argv":[]}`,
		"a NUL in argv":            `"call":"exec","id":"abcdefghij","cmd":{"argv":["YQBi"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := socket(t)
			serve(t, path, nil, remote.Options{}) // a nil driver: being reached is a panic, answered as another error
			if got := say(t, path, `{"v":3,`+line+"}\n"); !errorsIn(got, "invalid") {
				t.Errorf("answered %q", got)
			}
		})
	}
}

func TestADriversPanicIsOneCallsError(t *testing.T) {
	path := socket(t)
	serve(t, path, nil, remote.Options{})
	for range 2 {
		err := remote.Dial(path).Freeze(within(t), spec(1).ID)
		if err == nil || errors.Is(err, runtime.ErrDown) || !strings.Contains(err.Error(), "internal") {
			t.Errorf("got %v", err)
		}
	}
}

const nobody = 65534

func TestOnlyAllowedUsersAreHeard(t *testing.T) {
	dir, err := os.MkdirTemp("", "remote")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		allow []uint32
		heard bool
	}{
		"a stranger is not": {[]uint32{1}, false},
		"serve is":          {[]uint32{1, nobody}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := remote.Listen(filepath.Join(dir, "s"), nobody, nobody)
			if err != nil {
				t.Fatal(err)
			}
			r := open(t)
			defer serveAt(t, l, r.Driver, remote.Options{AllowUIDs: c.allow})()
			got := asNobody(t, func() error {
				_, err := remote.Dial(filepath.Join(dir, "s")).List(within(t))
				return err
			})
			if heard := got == nil; heard != c.heard || (!heard && !errors.Is(got, runtime.ErrDown)) {
				t.Errorf("got %v", got)
			}
			if n := r.Reached("list"); (n > 0) != c.heard {
				t.Errorf("the driver was called %d times", n)
			}
		})
	}
}

// asNobody runs f on a thread of its own that has another user; the thread ends with it.
func asNobody(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		goruntime.LockOSThread() // never unlocked: the runtime throws the thread away
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			done <- errno
			return
		}
		done <- f()
	}()
	return <-done
}

func TestALineThatNeverEndsIsNotKept(t *testing.T) {
	r := open(t)
	c, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	taken, err := io.WriteString(c, strings.Repeat("{", 100<<20))
	if err == nil || taken > 2<<20 {
		t.Errorf("the server took %d bytes, then %v", taken, err)
	}
}
