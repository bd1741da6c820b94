package fake

import (
	"context"
	"slices"
	"time"

	"petitpont/runtime"
)

// Starts counts how often a container was really being started; a Start of a running one does not count.
func (d *Driver) Starts(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.starts[id]
}

// Env is what a container's services were told at their last start.
func (d *Driver) Env(id string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.boxes[id]; b != nil {
		return slices.Clone(b.env)
	}
	return nil
}

// Kill ends a running container as a crash would, and tells Exits. A stopped one stays as it is.
func (d *Driver) Kill(id string) { d.KillWith(runtime.Exit{ID: id}) }

// KillWith is Kill with the rest of the Exit chosen; At is filled in when zero.
func (d *Driver) KillWith(e runtime.Exit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.boxes[e.ID]
	if b == nil || b.status == runtime.Stopped {
		return
	}
	b.end()
	if e.At.IsZero() {
		e.At = d.Now()
	}
	for c := range d.exits {
		tell(c, e)
	}
}

// tell never blocks: a slow reader loses the oldest. Driver.mu makes us the only sender.
func tell(c chan runtime.Exit, e runtime.Exit) {
	for {
		select {
		case c <- e:
			return
		default:
		}
		select {
		case <-c:
		default:
		}
	}
}

// Exits tells of Kill, until ctx ends.
func (d *Driver) Exits(ctx context.Context) <-chan runtime.Exit {
	c := make(chan runtime.Exit, 16)
	d.mu.Lock()
	d.exits[c] = struct{}{}
	d.mu.Unlock()
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.exits, c)
		close(c)
	})
	return c
}

// Usage counts files and programs; memory is a made-up figure per program. Step: usage.
func (d *Driver) Usage(ctx context.Context, id string) (runtime.Usage, error) {
	b, err := d.box(id)
	if err != nil {
		return runtime.Usage{}, err
	}
	if err := d.script.at(ctx, "usage", id); err != nil {
		return runtime.Usage{}, err
	}
	disk, inodes := b.weigh()
	d.mu.Lock()
	defer d.mu.Unlock()
	l := b.spec.Limits
	u := runtime.Usage{
		Disk: disk, DiskMax: l.Disk, Inodes: inodes, InodesMax: l.Inodes, MemoryMax: l.Memory,
		ProcsMax: l.Procs, FilesMax: l.Files, TerminalsMax: l.Terminals, TmpMax: l.Tmp,
	}
	if b.status == runtime.Stopped {
		return u, nil
	}
	u.Procs = 1 + len(b.programs)
	u.Memory = int64(u.Procs) << 20
	u.CPU = time.Millisecond + b.spent
	return u, nil
}
