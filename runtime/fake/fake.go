// Package fake is a runtime.Driver without a kernel: one folder per container, a real listener per started one, real
// SFTP and real programs, all as the user of the test. It isolates nothing and must never serve anybody.
//
// It can be scripted: any labelled step may be held or made to fail (script.go), starts are counted, Kill makes a crash.
package fake

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"petitpont/runtime"
)

// Driver is the fake. Set the exported fields before the first call.
type Driver struct {
	// Answer serves every site's port; nil serves the files of its www folder, with index.php as text.
	Answer func(id string) http.Handler
	// Offline makes Start answer an address nobody listens on: for tests inside a testing/synctest bubble.
	Offline bool
	// Names are the templates there are; New sets "web".
	Names []string
	Now   func() time.Time
	Room  int64           // bytes of the volume that Ledger tells of; New sets 1 TiB
	Lost  []runtime.Stray // what Strays tells of

	dir    string
	script script

	mu       sync.Mutex
	boxes    map[string]*box
	making   map[string]bool // IDs of creates under way
	starts   map[string]int
	exits    map[chan runtime.Exit]struct{}
	versions []runtime.Version // of templates; nil until they are first asked for
	builds   map[string]int    // number of the last build, by name
}

var _ runtime.Driver = (*Driver)(nil)

// New returns a driver that keeps its containers' folders below dir, usually t.TempDir(). Close it in the end.
func New(dir string) *Driver {
	return &Driver{
		Names: []string{"web"}, Now: time.Now, Room: 1 << 40, dir: dir,
		script: newScript(),
		boxes:  map[string]*box{}, making: map[string]bool{}, starts: map[string]int{},
		exits: map[chan runtime.Exit]struct{}{}, builds: map[string]int{},
	}
}

// Close ends everything that runs and every session. The folders stay.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.boxes {
		b.end()
		b.closeSessions()
	}
	return nil
}

// The defaults of limits that a spec leaves zero.
var defaults = runtime.Limits{Disk: 1 << 30, Inodes: 100_000, Memory: 256 << 20, CPU: 1000, Procs: 100}

func withDefaults(l runtime.Limits) runtime.Limits {
	if l.Disk == 0 {
		l.Disk = defaults.Disk
	}
	if l.Inodes == 0 {
		l.Inodes = defaults.Inodes
	}
	if l.Memory == 0 {
		l.Memory = defaults.Memory
	}
	if l.CPU == 0 {
		l.CPU = defaults.CPU
	}
	if l.Procs == 0 {
		l.Procs = defaults.Procs
	}
	return l
}

// Create makes the folder. Steps: create, create.disk.
func (d *Driver) Create(ctx context.Context, s runtime.Spec) error {
	if err := check(s); err != nil {
		return err
	}
	if err := d.script.at(ctx, "create", s.ID); err != nil {
		return err
	}
	version, err := d.newest(s.Template)
	if err != nil {
		return err
	}
	if err := d.reserve(s.ID); err != nil {
		return err
	}
	b, err := d.make(ctx, s, version)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.making, s.ID)
	if err != nil {
		_ = os.RemoveAll(d.path(s.ID))
		return err
	}
	d.boxes[s.ID] = b
	return nil
}

func (d *Driver) reserve(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boxes[id] != nil || d.making[id] {
		return fmt.Errorf("container %s: %w", id, runtime.ErrExist)
	}
	d.making[id] = true
	return nil
}

func (d *Driver) make(ctx context.Context, s runtime.Spec, version string) (*box, error) {
	runtime.Report(ctx, runtime.StepDisk)
	if err := d.script.at(ctx, "create.disk", s.ID); err != nil {
		return nil, err
	}
	home := filepath.Join(d.path(s.ID), "home")
	if err := os.MkdirAll(filepath.Join(home, "www"), 0o755); err != nil {
		return nil, err
	}
	page := "<?php // petitpont\n"
	if err := os.WriteFile(filepath.Join(home, "www", "index.php"), []byte(page), 0o644); err != nil {
		return nil, err
	}
	s.Limits = withDefaults(s.Limits)
	return newBox(s, home, s.Template+"@"+version), ctx.Err()
}

func (d *Driver) path(id string) string { return filepath.Join(d.dir, id) }

// Start counts, listens and answers. Steps: start, start.network, start.start, start.answer.
func (d *Driver) Start(ctx context.Context, id string) (netip.AddrPort, error) {
	b, err := d.box(id)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if addr, up := d.up(b); up {
		return addr, nil
	}
	d.mu.Lock()
	d.starts[id]++
	d.mu.Unlock()
	if err := d.script.at(ctx, "start", id); err != nil {
		return netip.AddrPort{}, err
	}
	for _, step := range []runtime.Step{runtime.StepNetwork, runtime.StepStart, runtime.StepAnswer} {
		runtime.Report(ctx, step)
		if err := d.script.at(ctx, "start."+string(step), id); err != nil {
			return netip.AddrPort{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boxes[id] != b {
		return netip.AddrPort{}, fmt.Errorf("container %s: %w", id, runtime.ErrNotExist)
	}
	return b.begin(d)
}

func (d *Driver) up(b *box) (netip.AddrPort, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.status == runtime.Frozen {
		b.thaw()
	}
	return b.addr, b.status == runtime.Running
}

// Freeze holds the answers and the programs. Step: freeze.
func (d *Driver) Freeze(ctx context.Context, id string) error {
	return d.change(ctx, "freeze", id, func(b *box) error {
		switch b.status {
		case runtime.Running:
			b.freeze()
			return nil
		case runtime.Frozen:
			return nil
		}
		return fmt.Errorf("freeze %s: %w", id, runtime.ErrNotRunning)
	})
}

// Thaw lets them go on. Step: thaw.
func (d *Driver) Thaw(ctx context.Context, id string) error {
	return d.change(ctx, "thaw", id, func(b *box) error {
		switch b.status {
		case runtime.Frozen:
			b.thaw()
			return nil
		case runtime.Running:
			return nil
		}
		return fmt.Errorf("thaw %s: %w", id, runtime.ErrNotRunning)
	})
}

// Stop ends the listener and the programs; sessions go on. Step: stop.
func (d *Driver) Stop(ctx context.Context, id string, _ time.Duration) error {
	return d.change(ctx, "stop", id, func(b *box) error {
		b.end()
		return nil
	})
}

// Destroy removes everything. Step: destroy.
func (d *Driver) Destroy(ctx context.Context, id string) error {
	if !validID.MatchString(id) {
		return nil // never made by Create
	}
	if err := d.script.at(ctx, "destroy", id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.boxes[id]; b != nil {
		b.end()
		b.closeSessions()
		delete(d.boxes, id)
	}
	return os.RemoveAll(d.path(id))
}

// SetLimits remembers them; the disk only grows. Step: limits.
func (d *Driver) SetLimits(ctx context.Context, id string, l runtime.Limits) error {
	return d.change(ctx, "limits", id, func(b *box) error {
		l = withDefaults(l)
		l.Disk = max(l.Disk, b.spec.Limits.Disk)
		b.spec.Limits = l
		return nil
	})
}

// SetEnv remembers it for the next start. Step: env.
func (d *Driver) SetEnv(ctx context.Context, id string, env []string) error {
	if !validEnvs(env) {
		return fmt.Errorf("environment of %q: %w", id, runtime.ErrInvalid)
	}
	return d.change(ctx, "env", id, func(b *box) error {
		b.spec.Env = slices.Clone(env)
		return nil
	})
}

// List shows every container, ordered by ID. Steps: list, list.answer (what was seen is on its way, and may grow old).
func (d *Driver) List(ctx context.Context) ([]runtime.Info, error) {
	if err := d.script.at(ctx, "list", ""); err != nil {
		return nil, err
	}
	all := d.infos()
	return all, d.script.at(ctx, "list.answer", "")
}

func (d *Driver) infos() []runtime.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]runtime.Info, 0, len(d.boxes))
	for _, b := range d.boxes {
		all = append(all, b.info())
	}
	slices.SortFunc(all, func(a, b runtime.Info) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Templates lists the published versions; of each of Names there is a version 1 from the beginning. Step: templates.
func (d *Driver) Templates(ctx context.Context) ([]runtime.Template, error) {
	if err := d.script.at(ctx, "templates", ""); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []runtime.Template
	for _, v := range d.kept() {
		if v.Published {
			all = append(all, v.Template)
		}
	}
	return all, nil
}

// box finds a container by its ID.
func (d *Driver) box(id string) (*box, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.boxes[id]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("container %q: %w", id, runtime.ErrNotExist)
}

// change runs one short change of a known container under the lock, after the script's label.
func (d *Driver) change(ctx context.Context, label, id string, do func(*box) error) error {
	if _, err := d.box(id); err != nil {
		return err
	}
	if err := d.script.at(ctx, label, id); err != nil {
		return err
	}
	b, err := d.box(id) // again: it may have gone while the script held us
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return do(b)
}

var (
	validID   = regexp.MustCompile(`^[a-z0-9]{10}$`)
	validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	validEnv  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=[^\x00\n]*$`)
)

// check refuses what could become a path, a name or an option (RULE ARG).
func check(s runtime.Spec) error {
	l := s.Limits
	bad := ""
	switch {
	case !validID.MatchString(s.ID):
		bad = "id"
	case !validName.MatchString(s.Template):
		bad = "template"
	case s.Slot < 0:
		bad = "slot"
	case !validName.MatchString(s.Hostname):
		bad = "host name"
	case min(l.Disk, l.Inodes, l.Memory, int64(l.CPU), int64(l.Procs)) < 0:
		bad = "limits"
	case !validEnvs(s.Env):
		bad = "environment"
	}
	if bad != "" {
		return fmt.Errorf("%s: %w", bad, runtime.ErrInvalid)
	}
	return nil
}

func validEnvs(env []string) bool {
	return !slices.ContainsFunc(env, func(e string) bool { return !validEnv.MatchString(e) })
}
