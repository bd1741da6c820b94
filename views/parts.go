package views

import (
	"context"
	"strings"

	"petitpont/runtime"
	"petitpont/site"
)

// htmxConfig keeps what a person has opened or is typing through a poll, and adds no style of its own (the CSP would
// refuse it).
const htmxConfig = `{"morphIgnore":["data-htmx-powered","open"],"includeIndicatorCSS":false,"mode":"same-origin"}`

// isHere tells whether href is the section of the page being drawn.
func isHere(ctx context.Context, href string) bool {
	path, _, _ := strings.Cut(frame(ctx).Here, "?")
	if href == "/" {
		return path == "/" || path == "/new" || strings.HasPrefix(path, "/s/")
	}
	return path == href || strings.HasPrefix(path, href+"/")
}

func roleOf(ctx context.Context) string {
	who := frame(ctx).Who
	word := t(ctx, "role."+string(who.Role))
	if who.Admin {
		word += " · " + t(ctx, "role.admin")
	}
	return word
}

// Owned is a site with a reading of what it uses; Usage is nil when the reading failed.
type Owned struct {
	site.Site
	Usage *runtime.Usage
}

// barTone warns when little is left.
func barTone(used, limit int64) string {
	switch p := percent(used, limit); {
	case p >= 95:
		return "bar-red"
	case p >= 80:
		return "bar-amber"
	}
	return "bar-plain"
}

// stackName is a stack in words.
func stackName(ctx context.Context, s site.Stack) string { return t(ctx, "stack."+s.Language) }
