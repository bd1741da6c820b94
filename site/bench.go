package site

import (
	"context"
	"sync"
	"time"

	"petitpont/runtime"
)

// Work is a build or a test of a template, under way or done.
type Work struct {
	Template     string
	Version      string // "" while it is being built
	Build        runtime.Build
	Began, Ended time.Time // Ended is zero while it goes on
	Fault        *Fault    // why it did not succeed
}

// Done tells that nothing goes on any more.
func (w Work) Done() bool { return !w.Ended.IsZero() }

// bench is where templates are worked on: one at a time, for each takes a processor and the disk.
type bench struct {
	mu   sync.Mutex
	work *Work
}

func (b *bench) look() *Work {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.work == nil {
		return nil
	}
	w := *b.work
	return &w
}

func (b *bench) change(change func(*Work)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b.work)
}

// begin puts w on the bench unless it is taken.
func (b *bench) begin(w Work) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.work != nil && !b.work.Done() {
		return &Error{Code: CodeTemplateBusy, Args: Args{"v": b.work.Template}}
	}
	b.work = &w
	return nil
}

// BuildTemplate begins to build a new version, which is then tested; Templates shows how it goes. For admins.
func (v *Service) BuildTemplate(ctx context.Context, who Identity, name string) error {
	k, err := v.keeper(who)
	if err != nil {
		return err
	}
	if err := v.knownTemplate(ctx, k, name); err != nil {
		return err
	}
	return v.workOn(who, Work{Template: name}, func(ctx context.Context) (Code, error) {
		built, err := k.BuildTemplate(ctx, name)
		if err != nil {
			return CodeTemplateBuild, err
		}
		v.bench.change(func(w *Work) { w.Version = built.Version })
		return CodeTemplateTest, k.TestTemplate(ctx, name, built.Version)
	})
}

// knownTemplate keeps names that somebody made up from the driver (RULE ARG).
func (v *Service) knownTemplate(ctx context.Context, k runtime.Keeper, name string) error {
	if name == template {
		return nil
	}
	all, err := k.Versions(ctx)
	if err != nil {
		return v.templateError(runtime.Template{Name: name}, err)
	}
	for _, x := range all {
		if x.Name == name {
			return nil
		}
	}
	return &Error{Code: CodeNoTemplate, Args: Args{"t": name}}
}

// TestTemplate begins to try a version with a throw-away site. For admins.
func (v *Service) TestTemplate(ctx context.Context, who Identity, name, version string) error {
	k, _, err := v.version(ctx, who, name, version)
	if err != nil {
		return err
	}
	w := Work{Template: name, Version: version, Build: runtime.Build{Step: runtime.BuildTest}}
	return v.workOn(who, w, func(ctx context.Context) (Code, error) {
		return CodeTemplateTest, k.TestTemplate(ctx, name, version)
	})
}

// workOn does one piece of work on the bench, which no caller ends. do says what its error means.
func (v *Service) workOn(who Identity, w Work, do func(context.Context) (Code, error)) error {
	w.Began = v.cfg.Now()
	if err := v.bench.begin(w); err != nil {
		return err
	}
	if !v.hire() {
		v.bench.change(func(w *Work) { w.Ended = v.cfg.Now() })
		return &Error{Code: CodeRuntimeDown}
	}
	v.cfg.Log.Info("template work", "template", w.Template, "version", w.Version, "by", who.Login)
	go func() {
		defer v.work.Done()
		ctx, cancel := context.WithTimeout(v.ctx, buildTimeout)
		defer cancel()
		code, err := do(runtime.WithBuild(ctx, func(b runtime.Build) {
			v.bench.change(func(w *Work) { w.Build = b })
		}))
		v.endWork(code, err)
	}()
	return nil
}

func (v *Service) endWork(code Code, err error) {
	v.bench.change(func(w *Work) {
		w.Ended = v.cfg.Now()
		if err == nil {
			return
		}
		ref := newRef()
		w.Fault = &Fault{Code: code, Args: Args{"t": w.Template, "v": w.Template + "@" + w.Version}, Log: short(err.Error()), Ref: ref}
		v.cfg.Log.Error("template work", "template", w.Template, "version", w.Version, "code", code, "ref", ref, "err", err)
	})
}

// short keeps the end of a long text: what went wrong comes last.
func short(s string) string {
	const most = 4 << 10
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
