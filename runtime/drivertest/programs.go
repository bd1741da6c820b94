package drivertest

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"petitpont/runtime"
)

// long is a time no test runs at.
var long = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// What running programs and dialing inside a container promise.
var programs = []Sentence{
	{"exec returns code, output and errors apart", func(t *testing.T, r *Run) {
		s, _ := r.running()
		out := r.exec(s.ID, sh(`echo out; echo err >&2; exit 7`), "")
		if out != (outcome{7, "out\n", "err\n"}) {
			t.Errorf("got %+v", out)
		}
	}},
	{"exec gives stdin and its end", func(t *testing.T, r *Run) {
		s, _ := r.running()
		text := strings.Repeat("a line of some length\n", 50_000) // more than any pipe holds
		if out := r.exec(s.ID, runtime.Cmd{Argv: []string{"cat"}}, text); out.code != 0 || out.stdout != text {
			t.Errorf("code %d, %d bytes back, want %d", out.code, len(out.stdout), len(text))
		}
	}},
	{"exec gives environment and folder", func(t *testing.T, r *Run) {
		s, _ := r.running()
		c := sh(`echo "$GREETING"; pwd`)
		c.Env, c.Dir = []string{"GREETING=bonjour à tous"}, "/tmp"
		if out := r.exec(s.ID, c, ""); out.stdout != "bonjour à tous\n/tmp\n" {
			t.Errorf("got %+v", out)
		}
		if out := r.exec(s.ID, sh(`test -d www`), ""); out.code != 0 {
			t.Error("without a folder it does not stand in the home")
		}
	}},
	{"exec of an ending by signal is 128 and the signal", func(t *testing.T, r *Run) {
		s, _ := r.running()
		if out := r.exec(s.ID, sh(`kill -9 $$`), ""); out.code != 137 {
			t.Errorf("code %d, want 137", out.code)
		}
	}},
	{"exec of an unknown program fails", func(t *testing.T, r *Run) {
		s, _ := r.running()
		p, err := r.Driver.Exec(r.ctx, s.ID, runtime.Cmd{Argv: []string{"no-such-program"}})
		if err != nil {
			return
		}
		defer func() { _ = p.Close() }()
		if code, err := p.Wait(); err == nil && code != 127 {
			t.Errorf("code %d, want 127 or an error", code)
		}
	}},
	{"exec of nothing fails", func(t *testing.T, r *Run) {
		s, _ := r.running()
		if p, err := r.Driver.Exec(r.ctx, s.ID, runtime.Cmd{}); err == nil {
			_ = p.Close()
			t.Error("an empty argv was run")
		}
	}},
	{"exec in a stopped one is ErrNotRunning", func(_ *testing.T, r *Run) {
		s := r.create()
		_, err := r.Driver.Exec(r.ctx, s.ID, sh(`true`))
		r.is("exec", err, runtime.ErrNotRunning)
	}},
	{"a terminal has the size asked for, and the new one", func(t *testing.T, r *Run) {
		s, _ := r.running()
		c := sh(`stty size; read x; stty size`)
		c.TTY, c.Rows, c.Cols = true, 40, 100
		p, err := r.Driver.Exec(r.ctx, s.ID, c)
		r.ok("exec", err)
		defer func() { _ = p.Close() }()
		if p.Stderr() != nil {
			t.Error("a terminal has a stderr of its own")
		}
		out := bufio.NewReader(p.Stdout())
		r.line(out, "40 100")
		r.ok("resize", p.Resize(50, 120))
		_, err = io.WriteString(p.Stdin(), "\n")
		r.ok("type", err)
		r.line(out, "50 120")
		if code, err := p.Wait(); code != 0 || err != nil {
			t.Errorf("ended with %d, %v", code, err)
		}
	}},
	{"closing a process hangs it up", func(t *testing.T, r *Run) {
		s, _ := r.running()
		p, err := r.Driver.Exec(r.ctx, s.ID, sh(`trap '' HUP; while :; do sleep 1; done`))
		r.ok("exec", err)
		ended := make(chan struct{})
		go func() { _, _ = p.Wait(); close(ended) }()
		_ = p.Close()
		select {
		case <-ended:
		case <-r.ctx.Done():
			t.Error("it went on")
		}
	}},
	{"stop ends the programs that run", func(t *testing.T, r *Run) {
		s, _ := r.running()
		p, err := r.Driver.Exec(r.ctx, s.ID, runtime.Cmd{Argv: []string{"sleep", "1000"}})
		r.ok("exec", err)
		defer func() { _ = p.Close() }()
		r.stop(s.ID)
		ended := make(chan struct{})
		go func() { _, _ = p.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-r.ctx.Done():
			t.Error("it went on")
		}
	}},
	{"dial reaches its own loopback", func(t *testing.T, r *Run) {
		s, _ := r.running()
		conn, err := r.Driver.Dial(r.ctx, s.ID, 80)
		r.ok("dial", err)
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		r.ok("write", err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		r.ok("answer", err)
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			t.Errorf("answered %d", res.StatusCode)
		}
	}},
	{"dial of a port nobody listens on fails", func(t *testing.T, r *Run) {
		s, _ := r.running()
		if conn, err := r.Driver.Dial(r.ctx, s.ID, 1); err == nil {
			_ = conn.Close()
			t.Error("port 1 was open")
		}
	}},
	{"dial into a stopped one is ErrNotRunning", func(_ *testing.T, r *Run) {
		s := r.create()
		_, err := r.Driver.Dial(r.ctx, s.ID, 80)
		r.is("dial", err, runtime.ErrNotRunning)
	}},
}

func sh(script string) runtime.Cmd { return runtime.Cmd{Argv: []string{"/bin/sh", "-c", script}} }

type outcome struct {
	code           int
	stdout, stderr string
}

// exec runs a program to its end, feeding stdin and reading both outputs at the same time.
func (r *Run) exec(id string, c runtime.Cmd, stdin string) outcome {
	r.t.Helper()
	p, err := r.Driver.Exec(r.ctx, id, c)
	r.ok("exec", err)
	defer func() { _ = p.Close() }()
	var out, errs bytes.Buffer
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(&out, p.Stdout()); done <- struct{}{} }()
	go func() { _, _ = io.Copy(&errs, p.Stderr()); done <- struct{}{} }()
	_, _ = io.WriteString(p.Stdin(), stdin)
	_ = p.Stdin().Close()
	<-done
	<-done
	code, err := p.Wait()
	r.ok("wait", err)
	return outcome{code, out.String(), errs.String()}
}

// line reads lines until one says want; a terminal echoes what is typed.
func (r *Run) line(out *bufio.Reader, want string) {
	r.t.Helper()
	for {
		got, err := out.ReadString('\n')
		if strings.TrimSpace(got) == want {
			return
		}
		if err != nil {
			r.t.Fatalf("the terminal ended before %q: %v", want, err)
		}
	}
}
