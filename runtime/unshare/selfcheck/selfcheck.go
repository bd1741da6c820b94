// Package selfcheck attacks a throw-away site from the inside, with the real driver, and says which wall held what.
//
//	canaries on the host          a file, a socket, shared memory, a server on every address, a tap on the bridges
//	two sites                     one is attacked from, the other is the neighbour
//	petitpont-box probe           sent in as a descriptor, as root and as the site's own user
//	what the host saw             packets that arrived although they should not have
//
// It needs an instance of its own: a driver, a network and folders that no other process uses.
package selfcheck

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/unshare/probe"
)

// Driver is what the check needs of the driver it examines.
type Driver interface {
	Create(ctx context.Context, s runtime.Spec) error
	Start(ctx context.Context, id string) (netip.AddrPort, error)
	Destroy(ctx context.Context, id string) error
	Files(ctx context.Context, id string) (net.Conn, error)
	RunBox(ctx context.Context, id string, argv []string, root bool) (runtime.Process, error)
	// RunRaised runs petitpont-box with the host's rights, in nothing of the site but its network.
	RunRaised(ctx context.Context, id string, argv []string, in io.Reader) (out []byte, err error)
}

// Config says what is examined.
type Config struct {
	Driver   Driver
	Instance string                                          // of the driver: the tap listens at its bridges
	Disk     func(id string) string                          // where the driver keeps the disk of a site
	Addr     func(slot int) (Addr, error)                    // of a slot in the segment of Spec
	Template string                                          // the root file system on the host that both sites have in common
	Spec     runtime.Spec                                    // template, segment, services and environment of both sites
	Version  string                                          // of petitpont, for the report
	Only     []string                                        // names of probes; all by default
	Grant    func(told runtime.Limits) (real runtime.Limits) // tests: limits other than those the probes are told
	Closed   []string                                        // address:port of more that no site may reach
}

// Addr is what a site is known by on its segment.
type Addr struct {
	V4, V6 netip.Addr
	MAC    net.HardwareAddr
}

// The words of a verdict.
const (
	Blocked = "blocked"
	Open    = "open"
	Failed  = "error" // could not be tried: as good as open
	Untried = ""      // makes no sense for this user
)

// Report is the outcome. Its form is stable: other programs and the panel read it.
type Report struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	Kernel  string    `json:"kernel"`
	OK      bool      `json:"ok"`
	Probes  []Line    `json:"probes"`
}

// Line is what came of one probe.
type Line struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	About      string   `json:"about"`
	Protection string   `json:"protection"`         // the wall it checks
	Also       []string `json:"also,omitempty"`     // walls that hold it off as well
	Root       string   `json:"root"`               // blocked, open, error, or "" where it makes no sense
	Web        string   `json:"web"`                // the same as the site's own user
	RootGot    string   `json:"root_got,omitempty"` // what it got, or why it could not be tried
	WebGot     string   `json:"web_got,omitempty"`
}

// told are the limits of the attacked site: small, so that every bomb is short.
var told = runtime.Limits{Disk: 64 << 20, Inodes: 1024, Memory: 96 << 20, CPU: 300, Procs: 96}

// What the driver gives every box, whatever its plan.
const (
	files, terminals, watchers = 16384, 64, 64
	tmp                        = 24 << 20 // a quarter of the memory
	queues                     = 409600   // bytes in POSIX message queues
)

// closed are addresses that no site may reach anywhere: metadata services of clouds, the machine's own network behind
// names, and mail.
var closed = []string{"169.254.169.254:80", "[fd00:ec2::254]:80", "100.100.100.200:80", "192.168.0.1:80", "10.0.0.1:80", "172.16.0.1:80"}

// Run makes two sites, attacks, and takes them away again. An error says that the check could not be made; a wall that
// does not hold is no error, but a Report that is not OK.
func Run(ctx context.Context, c Config) (_ Report, err error) {
	can, err := setCanaries(c.Instance)
	if err != nil {
		return Report{}, fmt.Errorf("set canaries: %w", err)
	}
	defer can.remove()
	attacked, neighbour := c.site(0), c.site(1)
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, c.Driver.Destroy(ctx, attacked.ID), c.Driver.Destroy(ctx, neighbour.ID))
	}()
	for _, s := range []runtime.Spec{attacked, neighbour} {
		if err := c.raise(ctx, s); err != nil {
			return Report{}, err
		}
	}
	if err := can.shared.look(c.Template); err != nil {
		return Report{}, err
	}
	session, err := c.Driver.Files(ctx, attacked.ID) // for the probe that looks into sessions
	if err != nil {
		return Report{}, fmt.Errorf("open a file session: %w", err)
	}
	defer func() { _ = session.Close() }()
	world, err := c.world(can, neighbour)
	if err != nil {
		return Report{}, err
	}
	root, err := c.attack(ctx, attacked.ID, world, true)
	if err != nil {
		return Report{}, fmt.Errorf("attack as root: %w", err)
	}
	can.see(root)
	if err := c.attackRaised(ctx, attacked.ID, world, root); err != nil {
		return Report{}, fmt.Errorf("attack with the first wall lifted: %w", err)
	}
	can.see(root)
	web, err := c.attack(ctx, attacked.ID, world, false)
	if err != nil {
		return Report{}, fmt.Errorf("attack as the site's user: %w", err)
	}
	can.see(web)
	return c.report(root, web), nil
}

func (c Config) site(slot int) runtime.Spec {
	s := c.Spec
	s.ID, s.Slot, s.Hostname, s.Limits = newID(), slot, "selfcheck", told
	if c.Grant != nil {
		s.Limits = c.Grant(told)
	}
	return s
}

func newID() string { return strings.ToLower(rand.Text())[:10] }

func (c Config) raise(ctx context.Context, s runtime.Spec) error {
	if err := c.Driver.Create(ctx, s); err != nil {
		return fmt.Errorf("create a throw-away site: %w", err)
	}
	if _, err := c.Driver.Start(ctx, s.ID); err != nil {
		return fmt.Errorf("start a throw-away site: %w", err)
	}
	return nil
}

func (c Config) world(can *canaries, neighbour runtime.Spec) (probe.World, error) {
	w := can.world
	w.HostDisk = c.Disk(neighbour.ID)
	a, err := c.Addr(neighbour.Slot)
	if err != nil {
		return w, err
	}
	w.Forge4, w.Forge6, w.NeighbourMAC = a.V4.String(), a.V6.String(), a.MAC.String()
	w.Neighbour = []string{netip.AddrPortFrom(a.V4, 80).String(), netip.AddrPortFrom(a.V6, 80).String()}
	w.Closed = append(append([]string{}, closed...), c.Closed...)
	w.Prepared = "/petitpont-setuid"
	w.Shared, w.SharedToo = "/"+sharedFiles[0], "/"+sharedFiles[1]
	w.Limits = probe.Limits{
		Memory: told.Memory, Disk: told.Disk, Inodes: told.Inodes, Tmp: tmp, Procs: told.Procs, CPU: told.CPU,
		Files: files, Terminals: terminals, Watchers: watchers, Queues: queues,
	}
	return w, can.listen(&w, a.V4)
}

// attack runs the probes in the site and collects what they found.
func (c Config) attack(ctx context.Context, id string, w probe.World, root bool) (map[string]probe.Finding, error) {
	p, err := c.Driver.RunBox(ctx, id, append([]string{"petitpont-box", "probe", "all"}, c.Only...), root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.Close() }()
	defer context.AfterFunc(ctx, func() { _ = p.Close() })()
	go func() {
		_ = json.NewEncoder(p.Stdin()).Encode(w)
		_ = p.Stdin().Close()
	}()
	words := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(p.Stderr(), 4096))
		words <- string(b)
	}()
	var found []probe.Finding
	if err := json.NewDecoder(io.LimitReader(p.Stdout(), 1<<20)).Decode(&found); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("read findings: %w: %s", errors.Join(err, ctx.Err()), <-words)
	}
	by := map[string]probe.Finding{}
	for _, f := range found {
		by[f.Name] = f
	}
	return by, nil
}

// attackRaised tries what the first wall would keep a site from, with the host's rights, and adds what came of it.
func (c Config) attackRaised(ctx context.Context, id string, w probe.World, found map[string]probe.Finding) error {
	in, err := json.Marshal(w)
	if err != nil {
		return err
	}
	for _, p := range probe.All() {
		if p.Who != probe.Raised || !c.wants(p.Name) {
			continue
		}
		out, err := c.Driver.RunRaised(ctx, id, []string{"petitpont-box", "probe", p.Name}, bytes.NewReader(in))
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		var f probe.Finding
		if err := json.Unmarshal(out, &f); err != nil {
			return fmt.Errorf("%s: %w: %.200q", p.Name, err, out)
		}
		found[p.Name] = f
	}
	return nil
}

func (c Config) wants(name string) bool { return len(c.Only) == 0 || slices.Contains(c.Only, name) }

func (c Config) report(root, web map[string]probe.Finding) Report {
	r := Report{Time: time.Now().UTC().Truncate(time.Second), Version: c.Version, Kernel: kernel(), OK: true}
	for _, p := range probe.All() {
		if !c.wants(p.Name) {
			continue
		}
		l := Line{Name: p.Name, Kind: string(p.Kind), About: p.About, Protection: p.Wall, Also: p.Also}
		l.Root, l.RootGot = verdict(p, true, root)
		l.Web, l.WebGot = verdict(p, false, web)
		r.OK = r.OK && !l.Red()
		r.Probes = append(r.Probes, l)
	}
	return r
}

// verdict counts what is missing as an error: silence is no proof.
func verdict(p probe.Probe, root bool, found map[string]probe.Finding) (word, got string) {
	if !p.For(root) && (p.Who != probe.Raised || !root) { // what the host tries stands in the root's column
		return Untried, ""
	}
	f, ok := found[p.Name]
	switch {
	case !ok:
		return Failed, "nothing was heard of it"
	case f.Got != "":
		return Open, f.Got
	case f.Err != "":
		return Failed, f.Err
	}
	return Blocked, ""
}

// Red tells whether somebody has to look at it.
func (l Line) Red() bool { return red(l.Root) || red(l.Web) }

func red(word string) bool { return word == Open || word == Failed }
