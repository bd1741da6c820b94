package site

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"petitpont/runtime"
)

// Config is what a Service is made of. Driver, Store, Directory and Domain are needed; the rest has defaults.
type Config struct {
	Driver    runtime.Driver
	Store     Store
	Directory Directory
	Domain    string // what follows a site's name in its host name: "localhost", "sites.example.org"

	Keeper   runtime.Keeper              // looks after the templates; Driver when it is one
	Proxy    WebProxy                    // through which sites reach the outside; none
	Checks   []Check                     // further parts of the health page
	Report   string                      // file of the last selfcheck; none
	Plans    Plans                       // DefaultPlans
	Now      func() time.Time            // time.Now
	Log      *slog.Logger                // slog.Default
	ReadHost func() (HostReading, error) // ReadHost with "/"
	Wakes    int                         // starts at the same time; the number of cores
	Login    Throttle                    // see Throttle
	Every    time.Duration               // between two reconciliations; a minute
	Again    time.Duration               // between two looks into the directory for those who are signed in; a minute
	Grace    time.Duration               // a site's services have to end; 10 s
	// MemoryReserve is what is left of the host's memory before an idle site makes room for the next one, or that is
	// refused, in bytes; a sixteenth of it, at most 512 MiB.
	MemoryReserve int64
	Waiting       struct{ PerSite, Overall int } // visitors that may wait for a start; 512 and 4096
}

// The longest a piece of work may take before it is given up. Drivers have their own, shorter deadlines within.
const (
	createTimeout = 10 * time.Minute
	wakeTimeout   = 3 * time.Minute
	stopTimeout   = 2 * time.Minute
	deleteTimeout = 5 * time.Minute
	limitTimeout  = 2 * time.Minute
	buildTimeout  = time.Hour
	lookTimeout   = 2 * time.Second
	storeTimeout  = 15 * time.Second
)

// Service is the heart. Its methods may be called from any goroutine. Close ends it.
//
// Locks are taken in this order: entry.saving, entry.mu, Service.mu. None is held over a call to the driver, and only
// entry.saving over one to the store.
type Service struct {
	cfg       Config
	door      *loginDoor
	slots     chan struct{} // one token for each start under way
	admitting chan struct{} // one token, for the start that looks for memory
	people    people

	mu     sync.RWMutex
	byID   map[ID]*entry
	byName map[string]*entry
	rested atomic.Pointer[func(ID)]
	strays []runtime.Info  // containers no site owns, as last seen
	waves  map[string]Wave // by template
	bench  bench

	waiting atomic.Int64
	rounds  sync.Mutex // one reconciliation at a time

	ctx    context.Context // ends with Close: what must not outlive the service
	cancel context.CancelFunc
	work   sync.WaitGroup
	closed bool // guarded by mu
}

// Open loads every site, looks at what runs and takes up what was left undone. Runtime down is no error: what runs is
// adopted as soon as it answers.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	v := newService(cfg)
	rows, err := v.cfg.Store.Sites(ctx)
	if err != nil {
		v.cancel()
		return nil, fmt.Errorf("load sites: %w", err)
	}
	waves, err := v.cfg.Store.Waves(ctx)
	if err != nil {
		v.cancel()
		return nil, fmt.Errorf("load waves: %w", err)
	}
	if err := v.takePlaces(ctx); err != nil {
		v.cancel()
		return nil, fmt.Errorf("load places: %w", err)
	}
	for _, w := range waves {
		v.waves[w.Template] = w
	}
	for _, s := range rows {
		v.insert(remembered(s))
	}
	exits := v.listen() // before the first look, so that no end falls between
	if err := v.Reconcile(ctx); err != nil {
		v.cfg.Log.Warn("first look at the runtime", "err", err)
	}
	v.wakeAlwaysOn()
	v.work.Go(func() { v.watchExits(exits) })
	v.work.Go(v.reconcileEvery)
	v.work.Go(v.lookAgainEvery)
	return v, nil
}

func newService(cfg Config) *Service {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	return &Service{
		cfg: cfg, door: newLoginDoor(cfg), slots: make(chan struct{}, cfg.Wakes), admitting: make(chan struct{}, 1),
		people: people{known: map[string]*person{}},
		byID:   map[ID]*entry{}, byName: map[string]*entry{}, waves: map[string]Wave{},
		ctx: ctx, cancel: cancel,
	}
}

func (c Config) withDefaults() Config {
	if c.Plans == nil {
		c.Plans = DefaultPlans()
	}
	if keeper, ok := c.Driver.(runtime.Keeper); ok && c.Keeper == nil {
		c.Keeper = keeper
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.ReadHost == nil {
		c.ReadHost = func() (HostReading, error) { return ReadHost("/") }
	}
	c.Wakes = orDefault(c.Wakes, goruntime.NumCPU())
	c.Every = orDefault(c.Every, time.Minute)
	c.Again = orDefault(c.Again, time.Minute)
	c.Grace = orDefault(c.Grace, 10*time.Second)
	c.Waiting.PerSite = orDefault(c.Waiting.PerSite, 512)
	c.Waiting.Overall = orDefault(c.Waiting.Overall, 4096)
	c.Login = c.Login.withDefaults()
	c.Domain = strings.Trim(strings.ToLower(c.Domain), ".")
	return c
}

func orDefault[T int | int64 | time.Duration | float64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// OnRest has f told whenever a site no longer answers at its address, so that a door can let go of connections to it.
// f must not block, and must not call the Service.
func (v *Service) OnRest(f func(ID)) { v.rested.Store(&f) }

// Close takes no new work and waits for what goes on; when ctx ends first it is broken off, and a later Open takes it
// up again. Running sites go on running (RULE APART).
func (v *Service) Close(ctx context.Context) error {
	v.mu.Lock()
	v.closed = true
	all := v.entriesLocked()
	v.mu.Unlock()
	for _, e := range all {
		e.disarm()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, e := range all {
			e.quiet()
		}
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	v.cancel()
	v.work.Wait()
	for _, e := range v.entries() {
		v.flush(e)
	}
	return err
}

func (v *Service) isClosed() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.closed
}

func (v *Service) entry(id ID) *entry {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.byID[id]
}

func (v *Service) named(name string) *entry {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.byName[name]
}

func (v *Service) entries() []*entry {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.entriesLocked()
}

func (v *Service) entriesLocked() []*entry {
	all := make([]*entry, 0, len(v.byID))
	for _, e := range v.byID {
		all = append(all, e)
	}
	return all
}

func (v *Service) insert(e *entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.byID[e.site.ID] = e
	v.byName[e.site.Name] = e
}

func (v *Service) remove(id ID, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.byID, id)
	if e := v.byName[name]; e != nil && e.id == id { // the name may have been given again since the row went
		delete(v.byName, name)
	}
}

// find is RULE SCOPE: a site belongs to who, or who is an admin, or it does not exist.
func (v *Service) find(who Identity, name string) (*entry, error) {
	e := v.named(name)
	if e == nil || who.Key == "" || (e.owner != who.Key && !who.Admin) {
		return nil, notFound()
	}
	return e, nil
}

// plan is what a role may have; the zero Plan allows nothing.
func (v *Service) plan(r Role) Plan { return v.cfg.Plans[r] }

// Plan is what the person may have.
func (v *Service) Plan(who Identity) Plan { return v.plan(who.Role) }

// Find returns a site of the person, or any to an admin; CodeNotFound otherwise (RULE SCOPE).
func (v *Service) Find(_ context.Context, who Identity, name string) (Site, error) {
	e, err := v.find(who, name)
	if err != nil {
		return Site{}, err
	}
	return e.snapshot(), nil
}

// Mine lists the person's own sites, by name.
func (v *Service) Mine(_ context.Context, who Identity) ([]Site, error) {
	if who.Key == "" {
		return nil, nil
	}
	var mine []Site
	for _, e := range v.entries() {
		if e.owner == who.Key {
			mine = append(mine, e.snapshot())
		}
	}
	sortSites(mine)
	return mine, nil
}

// Usage reads the counters of one site.
func (v *Service) Usage(ctx context.Context, who Identity, name string) (runtime.Usage, error) {
	e, err := v.find(who, name)
	if err != nil {
		return runtime.Usage{}, err
	}
	u, err := v.cfg.Driver.Usage(ctx, string(e.id))
	if errors.Is(err, runtime.ErrNotExist) {
		return runtime.Usage{}, nil // not made yet, or its making failed
	}
	if err != nil {
		return runtime.Usage{}, v.runtimeError(e.snapshot(), err)
	}
	return u, nil
}

// runtimeError is what a failed call outside a turn tells a person; what nobody can act on is logged under its Ref.
func (v *Service) runtimeError(s Site, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	f := faultOf(s, v.plan(s.Role).Limits.Memory, err, 0)
	v.cfg.Log.Error("runtime", "site", s.ID, "code", f.Code, "ref", f.Ref, "err", err)
	return f.asError(err)
}
