package remote

import (
	"context"
	"fmt"
	"os"
	"sync"

	"petitpont/runtime"
)

// exec starts a program, hands its descriptors to the client and stays as its control channel until it ends.
// A client that goes hangs up.
func (c *call) exec(ctx context.Context) error {
	var p runtime.Process
	err := c.opening(ctx, openTime, func() (err error) {
		p, err = c.driver().Exec(ctx, c.ID, c.Cmd.unpack())
		return err
	})
	if err != nil {
		return err
	}
	hangup := sync.OnceFunc(func() { _ = p.Close() })
	defer hangup()
	stop := context.AfterFunc(ctx, hangup)
	defer stop()
	c.obey(p, hangup)
	var output sync.WaitGroup
	if err := c.handOver(ctx, p, &output); err != nil {
		return err
	}
	code, err := p.Wait()
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	if err := c.done(answer{Code: code}); err != nil {
		return err
	}
	drain(ctx, &output)
	return nil
}

// obey makes control lines act on p.
func (c *call) obey(p runtime.Process, hangup func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control = func(m control) {
		if m.Hangup {
			go hangup() // it waits for the end, and the client may go meanwhile
			return
		}
		_ = c.wire.write(answer{V: Version, Refused: packError(resize(p, m))})
	}
}

func resize(p runtime.Process, m control) error {
	if m.Rows == 0 || m.Cols == 0 {
		return invalid("terminal of %d by %d", m.Rows, m.Cols)
	}
	return p.Resize(m.Rows, m.Cols)
}

// handOver sends the process's descriptors: stdin, stdout and, without a terminal, stderr.
func (c *call) handOver(ctx context.Context, p runtime.Process, output *sync.WaitGroup) error {
	files, err := exportProcess(ctx, p, c.Cmd.TTY, output)
	defer closeAll(files)
	if err != nil {
		return err
	}
	return c.wire.write(answer{V: Version, Files: len(files)}, files...)
}

// exportProcess gives p's descriptors; those made before an error are returned with it, for the caller to close.
func exportProcess(ctx context.Context, p runtime.Process, tty bool, output *sync.WaitGroup) ([]*os.File, error) {
	in, err := exportWriter(ctx, p.Stdin(), tty)
	if err != nil {
		return nil, err
	}
	out, err := exportReader(ctx, p.Stdout(), output)
	if err != nil || tty {
		return append([]*os.File{in}, present(out)...), err
	}
	errs, err := exportReader(ctx, p.Stderr(), output)
	return append([]*os.File{in, out}, present(errs)...), err
}

func present(f *os.File) []*os.File {
	if f == nil {
		return nil
	}
	return []*os.File{f}
}

// drain waits until copied output has been taken, or the client went.
func drain(ctx context.Context, output *sync.WaitGroup) {
	taken := make(chan struct{})
	go func() {
		output.Wait()
		close(taken)
	}()
	select {
	case <-taken:
	case <-ctx.Done():
	}
}
