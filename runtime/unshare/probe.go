package unshare

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// RunBox runs petitpont-box itself in a running container, as a descriptor, like a Files session but with three pipes:
// no program of the site's is touched. The self-check sends its probes in this way.
func (d *Driver) RunBox(ctx context.Context, id string, argv []string, root bool) (runtime.Process, error) {
	c, err := d.find(id)
	if err != nil {
		return nil, err
	}
	defer d.leave(c)
	if c.box == nil || !c.box.running() || !c.box.alive() {
		return nil, fmt.Errorf("run in %s: %w", id, runtime.ErrNotRunning)
	}
	if err := d.step(ctx, "run box"); err != nil {
		return nil, err
	}
	p := request(runtime.Cmd{Argv: argv, Root: root, Dir: "/"})
	p.flags, p.program = execProgram, d.box
	process, err := runPiped(c.box, p, int(d.firstUID(c.record.Spec.Slot)))
	if err != nil {
		return nil, fmt.Errorf("run in %s: %w", id, err)
	}
	return process, nil
}

// RunRaised runs petitpont-box on the host, with the host's rights, in nothing of the site but its network: as Dial
// does, it enters the network namespace only and touches no file of the site's (RULE NS). The self-check sends forged
// frames in this way, to see what the bridge makes of them. It returns what the program printed.
func (d *Driver) RunRaised(ctx context.Context, id string, argv []string, in io.Reader) (out []byte, err error) {
	ns, err := d.netOf(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = ns.Close() }()
	cmd := exec.CommandContext(ctx, "/proc/self/fd/3")
	cmd.Args, cmd.Stdin, cmd.ExtraFiles = argv, in, []*os.File{d.box}
	var words bytes.Buffer
	cmd.Stderr = &words
	aside(func() {
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err == nil {
			out, err = cmd.Output()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("run in the network of %s: %w: %.200s", id, err, words.String())
	}
	return out, nil
}
