package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"

	"petitpont/runtime"
)

// Exec runs a program of the host, as the test's user, in the container's home. Step: exec.
func (d *Driver) Exec(ctx context.Context, id string, c runtime.Cmd) (runtime.Process, error) {
	b, err := d.box(id)
	if err != nil {
		return nil, err
	}
	if err := d.script.at(ctx, "exec", id); err != nil {
		return nil, err
	}
	if len(c.Argv) == 0 {
		return nil, fmt.Errorf("exec in %s: empty argv", id)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.status == runtime.Stopped {
		return nil, fmt.Errorf("exec in %s: %w", id, runtime.ErrNotRunning)
	}
	p, err := spawn(b.home, c)
	if err != nil {
		return nil, fmt.Errorf("exec in %s: %w", id, err)
	}
	b.programs[p] = struct{}{}
	go d.reap(b, p)
	return p, nil
}

func (d *Driver) reap(b *box, p *process) {
	err := p.cmd.Wait()
	d.mu.Lock()
	delete(b.programs, p)
	b.spent += p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	d.mu.Unlock()
	p.code, p.err = outcome(p.cmd.ProcessState, err)
	close(p.ended)
}

func outcome(s *os.ProcessState, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return -1, err
	}
	if w := s.Sys().(syscall.WaitStatus); w.Signaled() {
		return 128 + int(w.Signal()), nil
	}
	return s.ExitCode(), nil
}

// process is a program with its own session, so that one signal reaches all it began.
type process struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr io.Reader
	pty            *os.File // nil without a terminal
	ours           []*os.File
	ended          chan struct{}
	code           int // valid once ended is closed
	err            error
	hangup         sync.Once
}

func spawn(home string, c runtime.Cmd) (*process, error) {
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, c.Env...)
	cmd.Dir = home
	if c.Dir != "" {
		cmd.Dir = c.Dir
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	if c.TTY {
		return p, p.startTTY(c.Rows, c.Cols)
	}
	return p, p.startPipes()
}

func (p *process) startTTY(rows, cols uint16) error {
	f, err := pty.StartWithSize(p.cmd, &pty.Winsize{Rows: rows, Cols: cols})
	if err != nil {
		return err
	}
	p.pty, p.stdin, p.stdout, p.ours = f, f, terminal{f}, []*os.File{f}
	return nil
}

// startPipes makes the pipes by hand: Cmd.Wait would close its own before the reader has seen all.
func (p *process) startPipes() error {
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
	}()
	pipe := func() (r, w *os.File, err error) { return os.Pipe() }
	inR, inW, err := pipe()
	if err != nil {
		return err
	}
	theirs, p.ours = append(theirs, inR), append(p.ours, inW)
	for _, side := range []struct {
		reader *io.Reader
		writer *io.Writer
	}{{&p.stdout, &p.cmd.Stdout}, {&p.stderr, &p.cmd.Stderr}} {
		r, w, err := pipe()
		if err != nil {
			p.closeOurs()
			return err
		}
		theirs, p.ours = append(theirs, w), append(p.ours, r)
		*side.reader, *side.writer = r, w
	}
	p.stdin, p.cmd.Stdin = inW, inR
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		p.closeOurs()
		return err
	}
	return nil
}

func (p *process) closeOurs() {
	for _, f := range p.ours {
		_ = f.Close()
	}
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

// Stdin, Stdout and Stderr are as in runtime.Process.
func (p *process) Stdin() io.WriteCloser { return p.stdin }
func (p *process) Stdout() io.Reader     { return p.stdout }

// Stderr is nil with a terminal.
func (p *process) Stderr() io.Reader { return p.stderr }

// Resize changes the terminal; without one it is an error.
func (p *process) Resize(rows, cols uint16) error {
	if p.pty == nil {
		return errors.New("no terminal")
	}
	return pty.Setsize(p.pty, &pty.Winsize{Rows: rows, Cols: cols})
}

// Wait may be called by several.
func (p *process) Wait() (int, error) {
	<-p.ended
	return p.code, p.err
}

// Close hangs up, then kills what ignores it.
func (p *process) Close() error {
	p.hangup.Do(func() {
		select {
		case <-p.ended:
		default:
			p.signal(syscall.SIGHUP)
			p.closeOurs()
			select {
			case <-p.ended:
			case <-time.After(100 * time.Millisecond):
				p.signal(syscall.SIGKILL)
				<-p.ended
			}
		}
		p.closeOurs()
	})
	return nil
}

// terminal reads a pty; the kernel says EIO when its last process has gone.
type terminal struct{ *os.File }

func (t terminal) Read(b []byte) (int, error) {
	n, err := t.File.Read(b)
	if errors.Is(err, syscall.EIO) {
		err = io.EOF
	}
	return n, err
}

// Dial reaches the site's own listener at port 80 and the host's loopback at any other. Step: dial.
func (d *Driver) Dial(ctx context.Context, id string, port uint16) (net.Conn, error) {
	b, err := d.box(id)
	if err != nil {
		return nil, err
	}
	if err := d.script.at(ctx, "dial", id); err != nil {
		return nil, err
	}
	d.mu.Lock()
	status, addr := b.status, b.addr.String()
	d.mu.Unlock()
	if status == runtime.Stopped {
		return nil, fmt.Errorf("dial into %s: %w", id, runtime.ErrNotRunning)
	}
	if port != 80 {
		addr = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}
