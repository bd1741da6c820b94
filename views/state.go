package views

import (
	"context"
	"time"

	"petitpont/site"
)

// State is how a site's state is shown: a word, a shape and a tone, so that colour is never alone.
type State struct {
	Code   string // the word's key is state.<code>, the sentence's about.<code>
	Icon   string
	Tone   string // green, amber, grey or red
	Moving bool   // it will change by itself: look again soon
}

// The states of the pages. Several states of the heart may share one word.
var (
	stateCreating = State{"creating", "hourglass-split", "amber", true}
	stateStarting = State{"starting", "arrow-repeat", "amber", true}
	stateRunning  = State{"running", "check-circle", "green", false}
	stateSleeping = State{"sleeping", "moon", "grey", false}
	stateStopping = State{"stopping", "arrow-down", "amber", true}
	stateStopped  = State{"stopped", "square", "grey", false}
	stateFailed   = State{"failed", "exclamation-triangle", "red", false}
	stateLooping  = State{"looping", "arrow-clockwise", "red", false}
	stateDeleting = State{"deleting", "trash3", "amber", true}
	stateUnknown  = State{"unknown", "question-circle", "grey", false}
)

// StateOf is how s is shown.
func StateOf(s site.Site) State {
	switch s.State {
	case site.Creating:
		return stateCreating
	case site.Waking:
		return stateStarting
	case site.Awake, site.Dozing:
		return stateRunning
	case site.Stopping:
		return stateStopping
	case site.Deleting:
		return stateDeleting
	case site.Failed:
		return failed(s)
	case site.Asleep:
		if s.Want == site.Down {
			return stateStopped
		}
		return stateSleeping
	}
	return stateUnknown
}

func failed(s site.Site) State {
	if s.Fault != nil && s.Fault.Code == site.CodeLooping {
		return stateLooping
	}
	return stateFailed
}

// about is the sentence under a site's badge.
func about(ctx context.Context, s site.Site) string {
	st := StateOf(s)
	since := s.ChangedAt
	if since.IsZero() {
		since = s.CreatedAt
	}
	switch st {
	case stateRunning:
		return t(ctx, "about.running", "t", lasting(ctx, frame(ctx).Now.Sub(since)))
	case stateStopped:
		return t(ctx, "about.stopped", "t", moment(ctx, since))
	case stateFailed, stateLooping:
		if s.Fault != nil {
			return Sentence(ctx, s.Fault.Code, s.Fault.Args)
		}
	}
	return t(ctx, "about."+st.Code)
}

// actions are what may be asked of a site in its state.
type actions struct{ Open, Start, Wake, Restart, Stop, Delete bool }

func actionsOf(s site.Site) actions {
	switch StateOf(s) {
	case stateRunning:
		return actions{Open: true, Restart: true, Stop: true, Delete: true}
	case stateSleeping:
		return actions{Open: true, Wake: true, Stop: true, Delete: true}
	case stateStopped:
		return actions{Start: true, Delete: true}
	case stateFailed, stateLooping:
		return actions{Restart: true, Stop: true, Delete: true}
	case stateStarting:
		return actions{Stop: true, Delete: true}
	case stateCreating:
		return actions{Delete: true}
	}
	return actions{}
}

// usedAgo says when a site was last visited.
func usedAgo(ctx context.Context, used time.Time) string {
	if used.IsZero() {
		return t(ctx, "sites.unused")
	}
	return t(ctx, "sites.used", "t", ago(ctx, used))
}
