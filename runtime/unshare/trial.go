package unshare

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/unshare/template"
)

// trialLimits are those of a throw-away site: a small plan, which everything that is offered has to bear.
var trialLimits = runtime.Limits{Disk: 256 << 20, Inodes: 16384, Memory: 256 << 20, CPU: 2000, Procs: 128}

// TestTemplate makes a throw-away site for each trial of the recipe, one after the other, and looks at its front page.
// Such a site is in no List and counts for nobody; what a crash leaves of it, Open removes.
func (d *Driver) TestTemplate(ctx context.Context, name, version string) error {
	d.templates.tests.Lock()
	defer d.templates.tests.Unlock()
	t, err := d.templates.get(name, version)
	if err != nil {
		return err
	}
	fault := d.trials(ctx, t)
	var mine *faulty
	if fault != nil && !errors.As(fault, &mine) {
		return fmt.Errorf("test %s@%s: %w", name, version, fault) // the host's trouble, not the version's
	}
	if err := d.remember(name, version, mine); err != nil {
		return err
	}
	if mine != nil {
		return fmt.Errorf("test %s@%s: %w", name, version, mine)
	}
	return nil
}

// faulty is what is wrong with a version.
type faulty struct{ err error }

func (f *faulty) Error() string { return f.err.Error() }
func (f *faulty) Unwrap() error { return f.err }

const faultMost = 4 << 10

func (d *Driver) remember(name, version string, f *faulty) error {
	d.templates.states.Lock()
	defer d.templates.states.Unlock()
	s, err := template.ReadState(d.templates.dir, name, version)
	if err != nil {
		return err
	}
	s.TestedAt, s.Fault = d.Now().UTC(), ""
	if f != nil {
		s.TestedAt, s.Fault = time.Time{}, strings.ToValidUTF8(f.Error()[:min(len(f.Error()), faultMost)], "")
	}
	return template.WriteState(d.templates.dir, name, version, s)
}

func (d *Driver) trials(ctx context.Context, t *pinned) error {
	if len(t.Trials) == 0 {
		return &faulty{errors.New("the recipe says nothing to try")}
	}
	for i, trial := range t.Trials {
		runtime.ReportBuild(ctx, runtime.Build{Step: runtime.BuildTest, Done: int64(i), Total: int64(len(t.Trials))})
		if err := d.try(ctx, t, trial); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(trial.Services, " + "), err)
		}
	}
	return nil
}

// try makes one throw-away site, asks it, and takes it away again whatever happened.
func (d *Driver) try(ctx context.Context, t *pinned, trial runtime.Trial) (err error) {
	s := runtime.Spec{
		ID: trialID(), Template: t.Name, Segment: d.TrialSegment, Hostname: "trial",
		Services: trial.Services, Env: trial.Env, Limits: trialLimits,
	}
	if s.Slot, err = d.freeSlot(s.Segment); err != nil {
		return err
	}
	d.templates.pins.RLock()
	err = d.create(ctx, s, t, true)
	d.templates.pins.RUnlock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Destroy(context.WithoutCancel(ctx), s.ID)) }()
	addr, err := d.Start(ctx, s.ID)
	if failed, ok := errors.AsType[*runtime.StartError](err); ok && failed.Reason != runtime.ReasonDisk {
		return &faulty{fmt.Errorf("%w\n%s", err, failed.Log)}
	}
	if err != nil {
		return err
	}
	return d.says(ctx, addr, trial.Says)
}

func trialID() string {
	id := strings.ToLower(rand.Text()) // base32: letters and the digits 2 to 7
	return id[:10]
}

// freeSlot is the highest below 1,000 that nobody has, since sites get the lowest and each thousand has a bridge of its
// own; else any.
func (d *Driver) freeSlot(segment string) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := map[int]bool{}
	for _, c := range d.sites {
		taken[c.record.Spec.Slot] = true
	}
	for i := range 1 << 15 {
		slot := i
		if i < 1000 {
			slot = 999 - i
		}
		if _, err := d.Network.Addr(segment, slot); err == nil && !taken[slot] {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("segment %s: %w: no address is left", segment, runtime.ErrNoSpace)
}

// says asks for the front page until it holds the words, or the time of a start is over. It is the tenant's side that
// answers, so the page is read up to a limit and nothing is followed.
func (d *Driver) says(ctx context.Context, addr netip.AddrPort, words string) error {
	limit, cancel := context.WithTimeout(ctx, d.Answer)
	defer cancel()
	for {
		status, page, err := frontPage(limit, addr)
		if err == nil && status == http.StatusOK && strings.Contains(page, words) {
			return nil
		}
		if pause(limit, rare) == nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &faulty{fmt.Errorf("the front page does not say %q: status %d, %w\n%.2048s", words, status, err, page)}
	}
}

func frontPage(ctx context.Context, addr netip.AddrPort) (status int, page string, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+"/", nil)
	if err != nil {
		return 0, "", err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, string(b), err
}
