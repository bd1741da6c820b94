package fake

import (
	"context"
	"slices"

	"petitpont/runtime"
)

// Ledger counts every container's disk as promised, and nothing as taken. Step: ledger.
func (d *Driver) Ledger(ctx context.Context) (runtime.Ledger, error) {
	if err := d.script.at(ctx, "ledger", ""); err != nil {
		return runtime.Ledger{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l := runtime.Ledger{Volume: d.Room, Reserve: d.Room / 100}
	for _, b := range d.boxes {
		l.Promised += b.spec.Limits.Disk
	}
	l.Free = l.Volume - l.Reserve - l.Promised
	return l, nil
}

// Strays are those of Lost. Step: strays.
func (d *Driver) Strays(ctx context.Context) ([]runtime.Stray, error) {
	return slices.Clone(d.Lost), d.script.at(ctx, "strays", "")
}
