package unshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Ledger asks the volume and adds up the promises.
func (d *Driver) Ledger(_ context.Context) (runtime.Ledger, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ledger()
}

// ledger is what there is, what is owed and what may still be promised (RULE LEDGER): what is free now, plus what the
// sites' images already hold of what they were promised, minus a reserve, minus every promise. The caller holds d.mu.
func (d *Driver) ledger() (runtime.Ledger, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.Data, &st); err != nil {
		return runtime.Ledger{}, fmt.Errorf("ask for free space: %w", err)
	}
	free := int64(st.Bavail) * st.Bsize
	l := runtime.Ledger{Volume: int64(st.Blocks) * st.Bsize, Reserve: d.Reserve}
	l.Used = l.Volume - free
	for id, c := range d.sites {
		l.Promised += c.record.Spec.Limits.Disk
		l.Held += min(d.held(id), c.record.Spec.Limits.Disk) // an image has a few blocks of its own besides
	}
	l.Free = free - l.Reserve - l.Promised + l.Held
	return l, nil
}

// Strays looks at the folders, and at the kernel objects that carry our label (RULE OWN).
func (d *Driver) Strays(_ context.Context) ([]runtime.Stray, error) {
	folders, err := os.ReadDir(d.sitesDir())
	if err != nil {
		return nil, fmt.Errorf("read sites: %w", err)
	}
	groups, err1 := d.groups.list()
	links, err2 := d.Network.List()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("list kernel objects: %w", err)
	}
	var all []runtime.Stray
	add := func(kind runtime.StrayKind, id, name string) {
		if !d.knows(id) {
			all = append(all, runtime.Stray{Kind: kind, Name: name})
		}
	}
	for _, f := range folders {
		if !strings.HasPrefix(f.Name(), ".") { // one that is being made or removed
			add(runtime.StrayFolder, f.Name(), filepath.Join(d.sitesDir(), f.Name()))
		}
	}
	for _, id := range groups {
		add(runtime.StrayCgroup, id, id)
	}
	for _, id := range links {
		add(runtime.StrayLink, id, id)
	}
	for device, label := range loops() {
		if id, ours := strings.CutPrefix(label, d.Instance+":"); ours {
			add(runtime.StrayLoop, id, device)
		}
	}
	slices.SortFunc(all, func(a, b runtime.Stray) int { return strings.Compare(string(a.Kind)+a.Name, string(b.Kind)+b.Name) })
	return all, nil
}

// knows tells whether an ID is a container's, or is about to be.
func (d *Driver) knows(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.sites[id]
	return ok
}
