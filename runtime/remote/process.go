package remote

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"petitpont/runtime"
)

// hangupTime is how long a process that was hung up may take to end before its control channel is given up.
const hangupTime = time.Minute

// resizeTime is how long the server may take to resize a terminal.
const resizeTime = 5 * time.Second

// process is a running Cmd: its descriptors are our own, its connection only controls it.
type process struct {
	talk                  *talk
	stdin, stdout, stderr *os.File // stderr is nil with a terminal

	resizing sync.Mutex // one control line is answered at a time
	answered chan error // its answer

	ended chan struct{} // closed once code and err are set
	code  int
	err   error
	close func() error
}

var _ runtime.Process = (*process)(nil)

// Exec runs a program. ctx bounds the start; the process goes on until it ends or Close. See runtime.Driver.
func (c *Client) Exec(ctx context.Context, id string, cmd runtime.Cmd) (runtime.Process, error) {
	t, err := c.begin(ctx, request{Call: "exec", ID: id, Cmd: packCommand(cmd)})
	if err != nil {
		return nil, err
	}
	p, err := newProcess(t, cmd.TTY)
	if err != nil {
		t.end()
		return nil, err
	}
	return p, nil
}

func newProcess(t *talk, tty bool) (*process, error) {
	a, err := t.next()
	if err != nil {
		return nil, err
	}
	files, err := t.wire.files(a.Files)
	if err != nil {
		return nil, t.lost(err)
	}
	want := 3
	if tty {
		want = 2
	}
	if len(files) != want || !t.stop() {
		closeAll(files)
		return nil, t.lost(errGarbled)
	}
	t.ctx = context.WithoutCancel(t.ctx)
	p := &process{
		talk: t, stdin: files[0], stdout: files[1],
		answered: make(chan error, 1), ended: make(chan struct{}),
	}
	if !tty {
		p.stderr = files[2]
	}
	p.close = sync.OnceValue(p.hangup)
	go p.await()
	return p, nil
}

// await reads the answers to control lines and then the last line of the call. It is the only reader of the wire.
func (p *process) await() {
	defer close(p.ended)
	for {
		a, err := p.talk.next()
		if err != nil || a.Done {
			p.code, p.err = a.Code, err
			return
		}
		select {
		case p.answered <- a.Refused.unpack():
		default: // nobody asked
		}
	}
}

func (p *process) Stdin() io.WriteCloser { return p.stdin }
func (p *process) Stdout() io.Reader {
	if p.stderr == nil {
		return terminal{p.stdout}
	}
	return p.stdout
}

func (p *process) Stderr() io.Reader {
	if p.stderr == nil {
		return nil
	}
	return p.stderr
}

// Resize returns once the terminal has its new size, so that what is typed next finds it.
func (p *process) Resize(rows, cols uint16) error {
	p.resizing.Lock()
	defer p.resizing.Unlock()
	if err := p.talk.wire.write(control{Rows: rows, Cols: cols}); err != nil {
		return p.over(err)
	}
	select {
	case err := <-p.answered:
		return err
	case <-p.ended:
		return os.ErrProcessDone
	case <-time.After(resizeTime):
		_ = p.talk.wire.conn.Close() // an answer out of turn must not meet the next question
		return p.talk.lost(context.DeadlineExceeded)
	}
}

// over says why a control line could not be sent.
func (p *process) over(err error) error {
	select {
	case <-p.ended:
		return os.ErrProcessDone
	default:
		return p.talk.lost(err)
	}
}

func (p *process) Wait() (int, error) {
	<-p.ended
	return p.code, p.err
}

// Close hangs up and frees the descriptors. Wait still tells how the process ended.
func (p *process) Close() error { return p.close() }

func (p *process) hangup() error {
	closeAll([]*os.File{p.stdin, p.stdout})
	if p.stderr != nil {
		_ = p.stderr.Close()
	}
	select {
	case <-p.ended:
	default:
		_ = p.talk.wire.conn.SetReadDeadline(time.Now().Add(hangupTime))
		if p.talk.wire.write(control{Hangup: true}) != nil {
			_ = p.talk.wire.conn.Close() // the server hangs up when the connection ends
		}
	}
	go func() {
		<-p.ended
		p.talk.wire.close()
	}()
	return nil
}

// terminal reads a pty; its last process gone is an end, for which the kernel says EIO.
type terminal struct{ *os.File }

func (t terminal) Read(b []byte) (int, error) {
	n, err := t.File.Read(b)
	if errors.Is(err, syscall.EIO) {
		err = io.EOF
	}
	return n, err
}
