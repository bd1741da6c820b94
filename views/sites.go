package views

import (
	"context"
	"strings"

	"petitpont/site"
)

// shown is the state to show: nothing moves and nothing is promised while the runtime is silent, so what was in motion
// becomes unknown.
func shown(s site.Site, old bool) State {
	st := StateOf(s)
	if old && (st.Moving || st == stateRunning) {
		return stateUnknown
	}
	return st
}

func diskLine(ctx context.Context, d Dashboard) string {
	used, limit := d.disk()
	return t(ctx, "sites.disk", "u", size(ctx, used), "q", size(ctx, limit))
}

// firstName is how a person is greeted.
func firstName(name string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(name), " ")
	return first
}
