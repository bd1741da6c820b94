package unshare

import (
	"context"
	"fmt"

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
