// Package unshare runs containers with the kernel's own namespaces and nothing else.
//
//	Create    D/sites/ID/{spec.json,disk.img}            a sparse ext4 image, cloned from a blank one
//	box       clone -> stage -> petitpont-init           the namespaces of a site, with our init as PID 1
//	Start     box + network + services + first answer
//	Files     box + an SFTP server as the site's user    without services, when the site sleeps
//
// The host never enters a running box: it asks init, and everything inside runs with the tenant's own rights (RULE NS,
// RULE ENTER). A box outlives this process (RULE APART): R/boxes/ID/state.json names its init, and Open adopts it.
// Every kernel object carries the instance's name (RULE OWN); every step that makes one pushes its undo.
package unshare

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/unshare/network"
	"petitpont/runtime/unshare/stage"
	"petitpont/runtime/unshare/template"
)

var _ runtime.Driver = (*Driver)(nil)

// Network gives boxes their addresses and links. *network.Network is one. Calls about one id are serialised.
type Network interface {
	// Addr is the address of a slot, whether or not it is attached.
	Addr(segment string, slot int) (network.Addr, error)
	// Limit holds the site of a slot to a budget of connections, attached or not; a zero field is its segment's.
	Limit(segment string, slot int, b network.Budget) error
	// Attach plugs the network namespace in; nothing is left after an error.
	Attach(ctx context.Context, id, segment string, slot int, netns *os.File) error
	// Detach removes the link; a no-op if there is none.
	Detach(id string) error
	// List names the attached ids.
	List() ([]string, error)
}

// Config says where a driver keeps things and what it is made of. Zero values of optional fields are the defaults.
type Config struct {
	Data     string // templates and sites; on a disk, with room for every promised image
	Run      string // state of what runs; gone after a reboot
	Instance string // label of every kernel object: [a-z][a-z0-9]{0,8}
	Box      string // path of petitpont-box
	Init     string // path of petitpont-init
	Network  Network

	Build        template.Options // optional: where BuildTemplate gets packages from; its Dir, Log, Now and Progress are ours
	TrialSegment string           // optional: network segment of throw-away sites, "student" by default

	UIDBase uint32           // optional: first host UID of slot 0, 1,000,000 by default
	Reserve int64            // optional: bytes of the data volume that are never promised, 1 GiB by default
	Answer  time.Duration    // optional: how long Start waits for the first answer, a minute by default
	Linger  time.Duration    // optional: how long a box without services outlives its last session, 10 s by default
	Log     *slog.Logger     // optional
	Now     func() time.Time // optional
	Weaken  []string         // tests only: walls to leave out, so that the probe of each is seen to fail. Open refuses it otherwise
}

// Reserve is how many bytes of the data volume are never promised to sites, unless the configuration says else.
const Reserve int64 = 1 << 30

var instanceName = regexp.MustCompile(`^[a-z][a-z0-9]{0,8}$`)

func (c *Config) complete() error {
	if !instanceName.MatchString(c.Instance) || c.Network == nil || !filepath.IsAbs(c.Data) || !filepath.IsAbs(c.Run) {
		return fmt.Errorf("config: %w: needs an instance name, a network, and absolute folders", runtime.ErrInvalid)
	}
	if len(c.Weaken) > 0 && !testing.Testing() {
		return fmt.Errorf("config: %w: walls are left out in tests only", runtime.ErrInvalid)
	}
	if c.TrialSegment == "" {
		c.TrialSegment = "student"
	}
	if c.UIDBase == 0 {
		c.UIDBase = 1_000_000
	}
	if c.Reserve == 0 {
		c.Reserve = Reserve
	}
	if c.Answer == 0 { // on a host that is overrun a web server has taken 20 s; to give up and try again would be more work yet
		c.Answer = time.Minute
	}
	if c.Linger == 0 {
		c.Linger = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// Driver is a runtime.Driver. Its methods may be called from any goroutine.
type Driver struct {
	Config
	groups    hierarchy
	templates templates
	blanks    blanks
	box, init *os.File // sealed copies of the programs, so that no path is looked up and nothing can be written (RULE ENTER)
	filters   [][]stage.Filter
	exits     exits
	fault     func(step string) error // tests make a step fail by its label

	closing  context.Context // ends with Close: what goes on beside calls stops
	close    context.CancelFunc
	mu       sync.Mutex
	sites    map[string]*container
	watchers sync.WaitGroup
}

// container is one site: its record, and its box while it has one.
type container struct {
	mu     sync.Mutex // held during each call about it; guards box and what it points to
	record record
	box    *box // nil: no namespaces stand

	made bool         // guarded by Driver.mu: Create has finished
	seen runtime.Info // guarded by Driver.mu: how it looked when its last call ended
}

// Open takes over what a previous process left: boxes that live are adopted, leftovers of dead ones are removed.
func Open(c Config) (_ *Driver, err error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	d := &Driver{
		Config: c, templates: templates{dir: filepath.Join(c.Data, "templates")},
		blanks: blanks{dir: filepath.Join(c.Data, "blank")}, sites: map[string]*container{},
	}
	d.closing, d.close = context.WithCancel(context.Background())
	for _, dir := range []string{d.sitesDir(), d.blanks.dir, d.boxesDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	if err := makeRoom(); err != nil {
		return nil, err
	}
	if d.box, err = d.program(c.Box); err != nil {
		return nil, err
	}
	if d.init, err = d.program(c.Init); err != nil {
		return nil, err
	}
	if d.filters, err = seccompFilters(c.Weaken); err != nil {
		return nil, err
	}
	if d.groups, err = openHierarchy(c.Instance); err != nil {
		return nil, err
	}
	err = errors.Join(d.blanks.sweep(), template.Sweep(d.templates.dir), d.load())
	if err == nil {
		d.takeRooms()
		err = d.adopt()
	}
	return d, err
}

// Close lets go of everything and leaves the boxes running, to be adopted by the next Open (RULE APART).
// Open Files sessions end with the process that relays them.
func (d *Driver) Close() error {
	d.close()
	d.watchers.Wait()
	d.exits.close()
	for _, c := range d.all() {
		c.mu.Lock()
		if c.box != nil {
			c.box.release()
			c.box = nil
		}
		c.mu.Unlock()
	}
	return errors.Join(d.box.Close(), d.init.Close())
}

// Shutdown ends every box of the instance, then closes the driver. Disks stay; of the kernel nothing does.
// It gives each site up to a second to end by itself.
func (d *Driver) Shutdown(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(d.all()))
	room := make(chan struct{}, 8)
	for _, c := range d.all() {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			errs <- d.halt(ctx, c, time.Second)
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(append(all, d.Close(), d.groups.removeAll())...)
}

func (d *Driver) halt(ctx context.Context, c *container, grace time.Duration) error {
	c.mu.Lock()
	defer d.leave(c)
	if c.box == nil {
		return nil
	}
	if c.box.running() {
		c.box.asked = true
		_ = d.stopServices(ctx, c.box, grace, false)
	}
	return d.kill(ctx, c)
}

// find returns a container that Create has finished, with its mutex held.
func (d *Driver) find(id string) (*container, error) {
	d.mu.Lock()
	c, ok := d.sites[id]
	ok = ok && c.made
	d.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("container %q: %w", id, runtime.ErrNotExist)
	}
	c.mu.Lock()
	d.mu.Lock()
	still := d.sites[id] == c
	d.mu.Unlock()
	if !still {
		c.mu.Unlock()
		return nil, fmt.Errorf("container %q: %w", id, runtime.ErrNotExist)
	}
	return c, nil
}

// leave ends a call about a container: what it looks like now is what List says while the next call is busy with it.
func (d *Driver) leave(c *container) {
	i := d.info(c)
	d.mu.Lock()
	c.seen = i
	d.mu.Unlock()
	c.mu.Unlock()
}

func (d *Driver) all() []*container {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*container
	for _, c := range d.sites {
		if c.made {
			all = append(all, c)
		}
	}
	return all
}

// step stands before every change of the world: it is where a call that nobody wants any more ends.
func (d *Driver) step(ctx context.Context, label string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	if d.fault != nil {
		if err := d.fault(label); err != nil {
			return fmt.Errorf("%s: %w", label, err)
		}
	}
	return nil
}

func (d *Driver) sitesDir() string         { return filepath.Join(d.Data, "sites") }
func (d *Driver) siteDir(id string) string { return filepath.Join(d.sitesDir(), id) }
func (d *Driver) newDir(id string) string  { return filepath.Join(d.sitesDir(), "."+id+".new") }
func (d *Driver) image(id string) string   { return filepath.Join(d.siteDir(id), imageName) }
func (d *Driver) boxesDir() string         { return filepath.Join(d.Run, "boxes") }
func (d *Driver) boxDir(id string) string  { return filepath.Join(d.boxesDir(), id) }
func (d *Driver) firstUID(slot int) uint32 { return d.UIDBase + uint32(slot)*idsPerSite }
func (d *Driver) addr(r record) (netip.AddrPort, error) {
	a, err := d.Network.Addr(r.Spec.Segment, r.Spec.Slot)
	return netip.AddrPortFrom(a.V4, webPort), err
}

const (
	idsPerSite = 1 << 16 // UIDs and GIDs of one site
	imageName  = "disk.img"
	webPort    = 80
)
