// Package drivertest is the contract of runtime.Driver as tests. Every driver passes it: fake, unshare, remote.
//
// Each sentence is a subtest and opens its own Rig, so one broken promise does not hide the others. Programs run inside
// a container are those any Debian root file system has: sh, cat, sleep, stty.
package drivertest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"petitpont/runtime"
)

// Rig is one driver ready to be tried. What it made is removed by the caller's own t.Cleanup.
type Rig struct {
	Driver runtime.Driver
	// Spec returns a valid spec with an ID never given before; two specs that live together have different slots.
	Spec func(slot int) runtime.Spec
	// Kill ends a running container from outside, as a crash would. Needed by every rig.
	Kill func(t *testing.T, id string)
	// HTTP tells that the address Start answers can really be fetched from the test's process.
	HTTP bool
	// Files tells that Files really serves SFTP.
	Files bool
}

// Sentence is one promise of the contract.
type Sentence struct {
	Name string
	Try  func(t *testing.T, r *Run)
}

// Test holds a driver against every promise. open is called once for each and may share what is costly between calls.
func Test(t *testing.T, open func(t *testing.T) Rig) {
	for _, s := range slices.Concat(life, files, programs, edges) {
		t.Run(s.Name, func(t *testing.T) { s.Try(t, newRun(t, open(t))) })
	}
}

const (
	// patience bounds one call. It is an upper bound against hanging, never a measure.
	patience = 60 * time.Second
	grace    = 5 * time.Second
)

// Run is a Rig with the small steps that tests are written in.
type Run struct {
	Rig
	t    *testing.T
	ctx  context.Context
	slot int
}

func newRun(t *testing.T, rig Rig) *Run {
	t.Helper()
	if rig.Kill == nil {
		t.Fatal("the rig has no Kill")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return &Run{Rig: rig, t: t, ctx: ctx}
}

// spec takes the next slot and sees to it that nothing of it outlives the test.
func (r *Run) spec() runtime.Spec {
	r.slot++
	s := r.Spec(r.slot)
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Driver.Destroy(ctx, s.ID); err != nil {
			r.t.Errorf("destroy %s after the test: %v", s.ID, err)
		}
	})
	return s
}

func (r *Run) create() runtime.Spec {
	r.t.Helper()
	s := r.spec()
	r.ok("create", r.Driver.Create(r.ctx, s))
	return s
}

func (r *Run) start(id string) netip.AddrPort {
	r.t.Helper()
	addr, err := r.Driver.Start(r.ctx, id)
	r.ok("start", err)
	if !addr.IsValid() {
		r.t.Fatalf("start answered the address %v", addr)
	}
	return addr
}

func (r *Run) running() (runtime.Spec, netip.AddrPort) {
	r.t.Helper()
	s := r.create()
	return s, r.start(s.ID)
}

func (r *Run) stop(id string) {
	r.t.Helper()
	r.ok("stop", r.Driver.Stop(r.ctx, id, grace))
}

func (r *Run) ok(what string, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

// is wants one of the sentinels.
func (r *Run) is(what string, err error, wants ...error) {
	r.t.Helper()
	for _, want := range wants {
		if errors.Is(err, want) {
			return
		}
	}
	r.t.Errorf("%s: got error %v, want %v", what, err, wants)
}

// info is what List says of id; the zero Info, whose Status is Absent, when it says nothing.
func (r *Run) info(id string) runtime.Info {
	r.t.Helper()
	all, err := r.Driver.List(r.ctx)
	r.ok("list", err)
	for _, i := range all {
		if i.ID == id {
			return i
		}
	}
	return runtime.Info{}
}

func (r *Run) status(id string, want runtime.Status) {
	r.t.Helper()
	if got := r.info(id).Status; got != want {
		r.t.Errorf("list shows it %v, want %v", got, want)
	}
}

func (r *Run) usage(id string) runtime.Usage {
	r.t.Helper()
	u, err := r.Driver.Usage(r.ctx, id)
	r.ok("usage", err)
	return u
}

// until asks again until the fact is there.
func (r *Run) until(fact string, seen func() bool) {
	r.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !seen() {
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			r.t.Fatalf("waited for: %s", fact)
		}
	}
}

// get fetches a path of the site's web server, on a connection of its own.
func (r *Run) get(ctx context.Context, addr netip.AddrPort, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// answers wants a 200 at path, when the rig's addresses can be fetched.
func (r *Run) answers(addr netip.AddrPort, path string) string {
	r.t.Helper()
	if !r.HTTP {
		return ""
	}
	code, body, err := r.get(r.ctx, addr, path)
	r.ok("GET "+path, err)
	if code != http.StatusOK {
		r.t.Errorf("GET %s answered %d, want 200", path, code)
	}
	return body
}
