package site

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"petitpont/runtime"
)

// Wave moves the sites of a template from older versions to a newer one: each by itself, at its next start, so that
// nothing that runs is touched. A site with packages of its own stays where it is, and is listed.
type Wave struct {
	Template string
	Version  string   // where it goes
	Older    []string // versions it comes from
	BeganAt  time.Time
}

// WaveState is how far a wave has come.
type WaveState struct {
	Wave
	Waiting []string // names of the sites that have not started since
	Kept    []string // names of those whose packages were changed
	Failed  []FailedMove
}

// FailedMove is a site that did not start on a wave's version and is back on its own, where it did.
type FailedMove struct {
	Name  string
	Fault *Fault // why it did not start there
}

// MoveSites begins a wave to a published version, in the place of an earlier one of its template. It returns how many
// sites will move. For admins.
func (v *Service) MoveSites(ctx context.Context, who Identity, name, version string) (int, error) {
	k, x, err := v.version(ctx, who, name, version)
	if err != nil {
		return 0, err
	}
	if !x.Published {
		return 0, &Error{Code: CodeTemplateNew, Args: Args{"v": name + "@" + version}}
	}
	all, err := k.Versions(ctx)
	if err != nil {
		return 0, v.templateError(x.Template, err)
	}
	w := Wave{Template: name, Version: version, Older: olderThan(all, x), BeganAt: v.cfg.Now()}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := v.cfg.Store.SetWave(ctx, w); err != nil {
		return 0, err
	}
	v.mu.Lock()
	v.waves[name] = w
	v.mu.Unlock()
	n := len(v.waveState(w, v.pinned()).Waiting)
	v.cfg.Log.Info("wave begins", "template", name, "version", version, "sites", strconv.Itoa(n), "by", who.Login)
	return n, nil
}

// olderThan are the versions of the same name that stand before x: they are listed oldest first.
func olderThan(all []runtime.Version, x runtime.Version) []string {
	older := []string{}
	for _, y := range all {
		switch {
		case y.Name != x.Name:
		case y.Template.Version == x.Template.Version:
			return older
		default:
			older = append(older, y.Template.Version)
		}
	}
	return older
}

func (v *Service) waveStates(pinned map[string][]string) []WaveState {
	v.mu.RLock()
	var all []Wave
	for _, w := range v.waves {
		all = append(all, w)
	}
	v.mu.RUnlock()
	slices.SortFunc(all, func(a, b Wave) int { return b.BeganAt.Compare(a.BeganAt) })
	states := make([]WaveState, 0, len(all))
	for _, w := range all {
		states = append(states, v.waveState(w, pinned))
	}
	return states
}

func (v *Service) waveState(w Wave, pinned map[string][]string) WaveState {
	s := WaveState{Wave: w}
	for _, older := range w.Older {
		for _, name := range pinned[w.Template+"@"+older] {
			if e := v.named(name); e != nil {
				s.count(e.snapshot())
			}
		}
	}
	slices.Sort(s.Waiting)
	slices.Sort(s.Kept)
	slices.SortFunc(s.Failed, func(a, b FailedMove) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// count puts a site on an older version where it belongs.
func (w *WaveState) count(s Site) {
	switch {
	case s.Kept != w.Version:
		w.Waiting = append(w.Waiting, s.Name)
	case s.KeptFault != nil:
		w.Failed = append(w.Failed, FailedMove{s.Name, s.KeptFault})
	default:
		w.Kept = append(w.Kept, s.Name)
	}
}

// wave is the one a site is to follow; false when there is none, or it has tried.
func (v *Service) wave(e *entry) (Wave, bool) {
	e.mu.Lock()
	on, kept, of := e.pinned, e.site.Kept, e.site.Stack.Template
	e.mu.Unlock()
	v.mu.RLock()
	defer v.mu.RUnlock()
	w, ok := v.waves[of]
	return w, ok && kept != w.Version && slices.Contains(w.Older, on)
}

// followWave moves a site that is about to start to the version its template's wave goes to. Whatever comes of it, the
// site starts.
func (v *Service) followWave(ctx context.Context, e *entry) {
	w, ok := v.wave(e)
	if !ok || v.cfg.Keeper == nil {
		return
	}
	e.mu.Lock()
	from := e.site.MovedFrom
	if from == "" { // else it has not started yet where it is
		e.site.MovedFrom, e.dirty = e.pinned, true
	}
	e.mu.Unlock()
	v.flush(e) // before it moves: the next process has to know where it came from
	err := v.cfg.Keeper.Move(ctx, string(e.id), w.Version)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dirty = true; err != nil {
		e.site.MovedFrom = from
	}
	switch {
	case err == nil:
		v.cfg.Log.Info("site moved to a newer version", "site", e.id, "from", e.pinned, "to", w.Version)
		e.pinned, e.site.Kept, e.site.KeptFault = w.Version, "", nil
	case errors.Is(err, runtime.ErrChanged):
		v.cfg.Log.Info("site keeps its version: it has packages of its own", "site", e.id, "on", e.pinned)
		e.site.Kept, e.site.KeptFault = w.Version, nil
	default:
		v.cfg.Log.Warn("move site to a newer version", "site", e.id, "to", w.Version, "err", err)
	}
}

// startMoved starts a site. One that has just moved to another version and does not start there goes back to where it
// came from: a wave leaves no site down that was up before.
func (v *Service) startMoved(ctx context.Context, e *entry) (netip.AddrPort, error) {
	addr, err := v.cfg.Driver.Start(v.watch(ctx, e), string(e.id))
	e.mu.Lock()
	from := e.site.MovedFrom
	if err == nil && from != "" {
		e.site.MovedFrom, e.dirty = "", true
	}
	e.mu.Unlock()
	var refused *runtime.StartError
	if from == "" || !errors.As(err, &refused) || refused.Reason == runtime.ReasonDisk || v.cfg.Keeper == nil {
		return addr, err
	}
	return v.goBack(ctx, e, from, err)
}

// goBack starts a site on the version it came from; why is what happened on the other. When it does not start there
// either, the version was not the reason, and the wave tries it again later.
func (v *Service) goBack(ctx context.Context, e *entry, from string, why error) (netip.AddrPort, error) {
	if err := v.cfg.Keeper.Move(ctx, string(e.id), from); err != nil {
		v.cfg.Log.Error("move site back to its version", "site", e.id, "to", from, "err", err)
		return netip.AddrPort{}, why
	}
	e.mu.Lock()
	tried := e.pinned
	e.pinned, e.site.MovedFrom, e.dirty = from, "", true
	e.mu.Unlock()
	addr, err := v.cfg.Driver.Start(v.watch(ctx, e), string(e.id))
	if err != nil {
		return addr, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	f := faultOf(e.site, v.limits(e.site).Memory, why, v.cfg.Now().Sub(e.turn.began))
	e.site.Kept, e.site.KeptFault, e.dirty = tried, f, true
	v.cfg.Log.Warn("site did not start on a newer version and is back on its own", "site", e.id, "version", tried, "ref", f.Ref, "err", why)
	return addr, nil
}
