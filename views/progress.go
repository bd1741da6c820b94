package views

import (
	"context"

	"petitpont/runtime"
)

// stage is where a step stands: done, running, broken or waiting.
func (m Making) stage(s StepLine) string {
	switch {
	case m.Done && m.Fault == nil: // also when petitpont was restarted meanwhile and has forgotten the times
		return "done"
	case s.Began.IsZero():
		return "waiting"
	case m.Fault != nil && s.Step == m.last():
		return "broken"
	case !s.Ended.IsZero():
		return "done"
	}
	return "running"
}

// last is the step that began last: the one that failed, when something did.
func (m Making) last() runtime.Step {
	var last runtime.Step
	for _, s := range m.Steps {
		if !s.Began.IsZero() {
			last = s.Step
		}
	}
	return last
}

// undone tells that nothing of the site was kept: its disk is the first thing made, and the driver takes it back.
func (m Making) undone() bool { return m.last() == runtime.StepDisk }

func titleMaking(ctx context.Context, m Making) string {
	key := "progress.title"
	if m.Fault != nil {
		key = "progress.failed"
	} else if m.Done {
		key = "progress.ready"
	}
	return t(ctx, key, "s", m.Site.Name)
}
