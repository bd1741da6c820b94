package remote

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"petitpont/runtime"
)

// hangupTime is how long a process that was hung up may take to end before its control channel is given up.
const hangupTime = time.Minute

// process is a running Cmd: its descriptors are our own, its connection only controls it.
type process struct {
	talk                  *talk
	stdin, stdout, stderr *os.File // stderr is nil with a terminal

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
	p := &process{talk: t, stdin: files[0], stdout: files[1], ended: make(chan struct{})}
	if !tty {
		p.stderr = files[2]
	}
	p.close = sync.OnceValue(p.hangup)
	go p.await()
	return p, nil
}

// await reads the last line of the call. It is the only reader of the wire.
func (p *process) await() {
	a, err := p.talk.result()
	p.code, p.err = a.Code, err
	close(p.ended)
}

func (p *process) Stdin() io.WriteCloser { return p.stdin }
func (p *process) Stdout() io.Reader     { return p.stdout }

func (p *process) Stderr() io.Reader {
	if p.stderr == nil {
		return nil
	}
	return p.stderr
}

// Resize tells the terminal its size. It does not wait for it to be done.
func (p *process) Resize(rows, cols uint16) error {
	if err := p.talk.wire.write(control{Rows: rows, Cols: cols}); err != nil {
		return p.talk.lost(err)
	}
	return nil
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
