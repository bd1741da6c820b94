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

// Region is a part of a page that looks again by itself. The server sets the pace in the answer, and answers 204 while
// the content still has the fingerprint V.
type Region struct {
	ID, URL, V string
	Pace       Pace
}

// Pace is how often a region looks again.
type Pace string

// The paces: looking costs something; nothing goes on; something changes; somebody waits for it.
const (
	Slow    Pace = "30s"
	Calm    Pace = "5s"
	Moving  Pace = "2s"
	Watched Pace = "1s"
)

// PaceOf is Moving when something changes.
func PaceOf(moving bool) Pace {
	if moving {
		return Moving
	}
	return Calm
}

// isHere tells whether href is the section of the page being drawn.
func isHere(ctx context.Context, href string) bool {
	path, _, _ := strings.Cut(frame(ctx).Here, "?")
	if strings.HasPrefix(path, "/s/") {
		return (href == "/admin") == frame(ctx).Foreign
	}
	if href == "/" {
		return path == "/" || path == "/new"
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

// stackName is a stack in words: the language, and the database if there is one.
func stackName(ctx context.Context, s site.Stack) string {
	language := t(ctx, "stack."+s.Language)
	if !s.HasDatabase() {
		return language
	}
	return t(ctx, "stack.with", "language", language, "database", t(ctx, "part."+s.Database))
}
