package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"petitpont/runtime"
)

// Templates are what sites are made from, as an admin sees them.
type Templates struct {
	Versions []TemplateVersion // by name, newest first
	Work     *Work             // what is being built or tested, or was last; nil when nothing was since the start
	Waves    []WaveState
}

// TemplateVersion is one version.
type TemplateVersion struct {
	runtime.Version
	Newest bool     // the newest published: what new sites get
	Pinned []string // names of the sites that are on it
	Behind int      // Newest only: sites on older versions that no wave has reached out for
}

// Templates lists every version with who uses it, for admins only.
func (v *Service) Templates(ctx context.Context, who Identity) (Templates, error) {
	k, err := v.keeper(who)
	if err != nil {
		return Templates{}, err
	}
	all, err := k.Versions(ctx)
	if err != nil {
		return Templates{}, v.templateError(runtime.Template{}, err)
	}
	seen, err := v.cfg.Driver.List(ctx)
	if err != nil {
		return Templates{}, v.templateError(runtime.Template{}, err)
	}
	v.note(seen)
	return v.shelve(all, v.pinned()), nil
}

// shelve puts versions in the order they are looked at, with their sites.
func (v *Service) shelve(all []runtime.Version, pinned map[string][]string) Templates {
	t := Templates{Work: v.bench.look()}
	newest := map[string]bool{} // names whose newest published version has been seen
	for _, x := range slices.Backward(all) {
		s := TemplateVersion{Version: x, Pinned: pinned[x.Name+"@"+x.Version]}
		s.Newest = x.Published && !newest[x.Name]
		newest[x.Name] = newest[x.Name] || s.Newest
		t.Versions = append(t.Versions, s)
	}
	slices.SortStableFunc(t.Versions, func(a, b TemplateVersion) int { return strings.Compare(a.Name, b.Name) })
	t.Waves = v.waveStates(pinned)
	for i := range t.Versions {
		if x := &t.Versions[i]; x.Newest {
			x.Behind = behind(t.Versions[i+1:], x.Name) - reached(t.Waves, x.Template)
		}
	}
	return t
}

// behind counts the sites on the versions of a name.
func behind(older []TemplateVersion, name string) (n int) {
	for _, x := range older {
		if x.Name == name {
			n += len(x.Pinned)
		}
	}
	return n
}

// reached counts the sites that a wave to this version knows of already.
func reached(waves []WaveState, to runtime.Template) int {
	for _, w := range waves {
		if w.Template == to.Name && w.Version == to.Version {
			return len(w.Waiting) + len(w.Kept) + len(w.Failed)
		}
	}
	return 0
}

// pinned are the names of the sites on each version, by NAME@VERSION.
func (v *Service) pinned() map[string][]string {
	all := map[string][]string{}
	for _, e := range v.entries() {
		e.mu.Lock()
		on := e.site.Stack.Template + "@" + e.pinned
		e.mu.Unlock()
		all[on] = append(all[on], e.name)
	}
	for _, names := range all {
		slices.Sort(names)
	}
	return all
}

// PublishTemplate makes a version what new sites get: CodeTemplateNew while its test has not passed. For admins.
func (v *Service) PublishTemplate(ctx context.Context, who Identity, name, version string) error {
	k, x, err := v.version(ctx, who, name, version)
	if err != nil {
		return err
	}
	if err := k.PublishTemplate(ctx, name, version); err != nil {
		return v.templateError(x.Template, err)
	}
	v.cfg.Log.Info("template published", "template", name, "version", version, "by", who.Login)
	return nil
}

// RetireTemplate removes a version for good: CodeTemplateUsed with the sites that are still on it. For admins.
func (v *Service) RetireTemplate(ctx context.Context, who Identity, name, version string) error {
	k, x, err := v.version(ctx, who, name, version)
	if err != nil {
		return err
	}
	if err := k.RetireTemplate(ctx, name, version); err != nil {
		return v.templateError(x.Template, err)
	}
	v.cfg.Log.Info("template retired", "template", name, "version", version, "by", who.Login)
	return nil
}

// keeper is for admins.
func (v *Service) keeper(who Identity) (runtime.Keeper, error) {
	if !who.Admin {
		return nil, &Error{Code: CodeForbidden}
	}
	if v.cfg.Keeper == nil {
		return nil, &Error{Code: CodeRuntimeDown, Err: errors.New("the runtime keeps no templates")}
	}
	return v.cfg.Keeper, nil
}

// version finds what somebody asked for by name among what there is: no other name goes further (RULE ARG).
func (v *Service) version(ctx context.Context, who Identity, name, version string) (runtime.Keeper, runtime.Version, error) {
	k, err := v.keeper(who)
	if err != nil {
		return nil, runtime.Version{}, err
	}
	all, err := k.Versions(ctx)
	if err != nil {
		return nil, runtime.Version{}, v.templateError(runtime.Template{}, err)
	}
	for _, x := range all {
		if x.Name == name && x.Template.Version == version {
			return k, x, nil
		}
	}
	return nil, runtime.Version{}, &Error{Code: CodeNoVersion, Args: Args{"v": name + "@" + version}}
}

// templateError is what a refusal of the keeper means.
func (v *Service) templateError(t runtime.Template, err error) error {
	on := t.Name + "@" + t.Version
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, runtime.ErrDown):
		return &Error{Code: CodeRuntimeDown, Err: err}
	case errors.Is(err, runtime.ErrUntested):
		return &Error{Code: CodeTemplateNew, Args: Args{"v": on}, Err: err}
	case errors.Is(err, runtime.ErrNoTemplate):
		return &Error{Code: CodeNoVersion, Args: Args{"v": on}, Err: err}
	case errors.Is(err, runtime.ErrInUse):
		users := v.pinned()[on]
		return &Error{Code: CodeTemplateUsed, Args: Args{"v": on, "n": strconv.Itoa(len(users)), "sites": some(users)}, Err: err}
	}
	return fmt.Errorf("template %s: %w", on, err)
}

// some names a few of many.
func some(names []string) string {
	const few = 10
	if len(names) > few {
		return strings.Join(names[:few], ", ") + "…"
	}
	return strings.Join(names, ", ")
}
