package views

import (
	"context"
	"errors"
	"fmt"

	"petitpont/runtime"
	"petitpont/site"
	"petitpont/views/i18n"
)

// HealthPage is P22.
type HealthPage struct {
	Region
	site.Health
	Fault string // why a stray was not deleted
	Blame string // which
	Typed string // instead of its ID
}

// verdict is a state of a part or a probe: a word, a shape and a tone.
type verdict struct{ Key, Icon, Tone string }

var (
	worksVerdict   = verdict{"health.works", "check-circle", "green"}
	failsVerdict   = verdict{"health.fails", "exclamation-triangle", "red"}
	enoughVerdict  = verdict{"health.enough", "check-circle", "green"}
	shortVerdict   = verdict{"health.short", "exclamation-triangle", "amber"}
	blockedVerdict = verdict{"probe.blocked", "shield-check", "green"}
	openVerdict    = verdict{"probe.open", "exclamation-triangle", "red"}
	errorVerdict   = verdict{"probe.error", "x-circle", "amber"}
	unknownVerdict = verdict{"probe.unknown", "question-circle", "grey"}
	noneVerdict    = verdict{"probe.none", "square", "grey"}
)

func verdictOf(p site.Part, s site.Storage) verdict {
	switch {
	case p.Name == "storage" && s.Short:
		return shortVerdict
	case p.Err != nil:
		return failsVerdict
	case p.Name == "storage":
		return enoughVerdict
	}
	return worksVerdict
}

// detail is what there is to say about a part: why it fails, or how well it does. Its errors are for admins.
func (h HealthPage) detail(ctx context.Context, p site.Part) string {
	switch {
	case p.Name == "storage" && h.Storage.Volume > 0:
		return ledger(ctx, h.Storage)
	case p.Err != nil:
		return cause(ctx, p.Err)
	}
	return t(ctx, "health.took", "t", fmt.Sprintf("%d%sms", max(1, p.Took.Milliseconds()), nbsp))
}

// ledger says what was promised to sites, what is taken, and what may still be promised.
func ledger(ctx context.Context, s site.Storage) string {
	text := t(ctx, "health.promised", "p", size(ctx, s.Promised), "u", size(ctx, s.Used), "v", size(ctx, s.Volume), "r", size(ctx, s.Reserve))
	if s.Free < 0 {
		return text + " " + t(ctx, "health.beyond", "f", size(ctx, -s.Free))
	}
	return text + " " + t(ctx, "health.left", "f", size(ctx, s.Free))
}

// cause is a sentence when there is one, else the error itself.
func cause(ctx context.Context, err error) string {
	var known *site.Error
	if !errors.As(err, &known) {
		return err.Error()
	}
	s := Sentence(ctx, known.Code, known.Args)
	if known.Err != nil {
		s += " (" + known.Err.Error() + ")"
	}
	return s
}

// strayKey says what a leftover is, and what to do about it.
func strayKey(kind runtime.StrayKind) string {
	if kind == runtime.StrayFolder {
		return "lost.folder"
	}
	return "lost.kernel"
}

// probeVerdict is what became of an attack.
func probeVerdict(result string) verdict {
	switch result {
	case "blocked":
		return blockedVerdict
	case "open":
		return openVerdict
	case "error":
		return errorVerdict
	case "":
		return noneVerdict
	}
	return unknownVerdict
}

// attackName and attackAbout say what was tried, in the reader's language.
func attackName(ctx context.Context, p site.Probe) string {
	name, _ := i18n.Attack(frame(ctx).Lang, p.Name, p.About)
	return name
}

func attackAbout(ctx context.Context, p site.Probe) string {
	_, about := i18n.Attack(frame(ctx).Lang, p.Name, p.About)
	return about
}

// passed counts the attacks that were not blocked.
func passed(c *site.Selfcheck) (n int) {
	for _, p := range c.Probes {
		if probeVerdict(p.Root).Tone == "red" || probeVerdict(p.Web).Tone == "red" {
			n++
		}
	}
	return n
}

// found says what the last selfcheck came to.
func found(ctx context.Context, c *site.Selfcheck) (text string, well bool) {
	total, open := fmt.Sprint(len(c.Probes)), passed(c)
	switch {
	case c.OK && open == 0:
		return t(ctx, "health.check-ok", "n", total), true
	case open == 0:
		return t(ctx, "health.check-part"), false
	}
	return t(ctx, "health.check-bad", "n", total, "open", fmt.Sprint(open)), false
}
