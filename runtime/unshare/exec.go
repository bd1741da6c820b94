package unshare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Flags of init's exec command.
const (
	execKeep    = 1 // survives Stop and Freeze: Files sessions only
	execTTY     = 2
	execProgram = 4 // the last descriptor is the program
)

// program is what init is asked to run.
type program struct {
	flags      int
	user       user
	rows, cols uint16
	dir        string
	argv, env  []string
	files      []*os.File // stdio unless execTTY, then the program if execProgram
	program    *os.File   // goes behind the pipes of runPiped
}

// child is a program that init runs: the connection on which its end is told.
type child struct {
	control
	master *os.File // of its terminal, if it has one
}

// exec asks init to run a program. Init drops to the user itself; everything happens with the box's rights.
func (b *box) exec(p program) (*child, error) {
	c, err := dialInit(b.dir)
	if err != nil {
		return nil, err
	}
	f := fields{"exec"}
	f.number(p.flags, p.user.uid, p.user.gid, int(p.rows), int(p.cols))
	f.add(p.dir)
	f.list(p.argv)
	f.list(p.env)
	if err := c.send(f, p.files...); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	_, master, err := c.first()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &child{c, master}, nil
}

// Exec runs a program of the site, with the site's rights.
func (d *Driver) Exec(ctx context.Context, id string, cmd runtime.Cmd) (runtime.Process, error) {
	c, err := d.find(id)
	if err != nil {
		return nil, err
	}
	defer d.leave(c)
	if len(cmd.Argv) == 0 || cmd.Argv[0] == "" {
		return nil, fmt.Errorf("%w: nothing to run", runtime.ErrInvalid)
	}
	if c.box == nil || !c.box.running() || !c.box.alive() {
		return nil, fmt.Errorf("exec in %s: %w", id, runtime.ErrNotRunning)
	}
	if err := d.step(ctx, "exec"); err != nil {
		return nil, err
	}
	p := request(cmd)
	run := runPiped
	if cmd.TTY {
		run = runTTY
	}
	process, err := run(c.box, p, int(d.firstUID(c.record.Spec.Slot)))
	if err != nil {
		return nil, fmt.Errorf("exec in %s: %w", id, err)
	}
	return process, nil
}

func request(cmd runtime.Cmd) program {
	p := program{user: site, dir: cmd.Dir, argv: cmd.Argv, rows: cmd.Rows, cols: cmd.Cols}
	home, name := "/home/site", "site"
	if cmd.Root {
		p.user, home, name = user{0, 0}, "/root", "root"
	}
	if p.dir == "" {
		p.dir = home
	}
	p.env = append([]string{pathEnv, "HOME=" + home, "USER=" + name, "LOGNAME=" + name, "SHELL=/bin/sh", "LANG=C.UTF-8"}, cmd.Env...)
	return p
}

// process is a running program. Its end arrives on the connection to init.
type process struct {
	init   control
	stdin  io.WriteCloser
	stdout io.Reader
	stderr io.Reader
	master *os.File
	ours   []*os.File

	once sync.Once
	done chan struct{}
	code int
	err  error
}

var _ runtime.Process = (*process)(nil)

// runPiped connects the program by three pipes, which belong to its user so that it can open /dev/stdin by name.
func runPiped(b *box, p program, firstID int) (*process, error) {
	var ours, theirs []*os.File
	defer func() { closeAll(theirs) }()
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours)
			return nil, err
		}
		if i == 0 {
			r, w = w, r // the program reads the first
		}
		ours, theirs = append(ours, r), append(theirs, w)
		if err := w.Chown(firstID+p.user.uid, firstID+p.user.gid); err != nil {
			closeAll(ours)
			return nil, err
		}
	}
	p.files = theirs
	if p.program != nil {
		p.files = append(slices.Clone(theirs), p.program)
	}
	init, err := b.exec(p)
	if err != nil {
		closeAll(ours)
		return nil, err
	}
	return follow(&process{init: init.control, stdin: ours[0], stdout: ours[1], stderr: ours[2], ours: ours}), nil
}

// runTTY lets init open a terminal of the box's own devpts; only its master end comes out.
func runTTY(b *box, p program, _ int) (*process, error) {
	p.flags |= execTTY
	init, err := b.exec(p)
	if err != nil {
		return nil, err
	}
	if init.master == nil {
		return nil, errors.Join(errors.New("init sent no terminal"), init.Close())
	}
	m := init.master
	return follow(&process{init: init.control, stdin: m, stdout: terminalReader{m}, master: m, ours: []*os.File{m}}), nil
}

// terminalReader ends as pipes do: a master whose last slave is closed says EIO.
type terminalReader struct{ *os.File }

func (t terminalReader) Read(b []byte) (int, error) {
	n, err := t.File.Read(b)
	if errors.Is(err, unix.EIO) {
		err = io.EOF
	}
	return n, err
}

func follow(p *process) *process {
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		defer func() { _ = p.init.Close() }()
		f, _, err := p.init.answer()
		if err == nil && len(f) == 2 && f[0] == "exit" {
			p.code, p.err = strconv.Atoi(f[1])
			return
		}
		p.code, p.err = 128+int(unix.SIGKILL), nil // the box ended, and the program with it
	}()
	return p
}

func (p *process) Stdin() io.WriteCloser { return p.stdin }
func (p *process) Stdout() io.Reader     { return p.stdout }

func (p *process) Stderr() io.Reader {
	if p.stderr == nil {
		return nil
	}
	return p.stderr
}

func (p *process) Resize(rows, cols uint16) error {
	if p.master == nil {
		return fmt.Errorf("%w: no terminal", runtime.ErrInvalid)
	}
	raw, err := p.master.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	return errors.Join(err, set)
}

func (p *process) Wait() (int, error) {
	<-p.done
	return p.code, p.err
}

// Close hangs up. Init sends SIGHUP to the program's session, and SIGKILL five seconds later.
func (p *process) Close() error {
	p.once.Do(func() {
		_ = p.init.Close()
		closeAll(p.ours)
	})
	return nil
}
