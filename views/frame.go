// Package views is every page of the panel as templ components, and nothing else: no page decides anything.
//
// All words come from views/i18n through t; all addresses that hold a name come from the helpers of url.go; nothing is
// ever written unescaped (RULE TEXT).
package views

import (
	"context"
	"time"

	"petitpont/site"
	"petitpont/views/i18n"
)

// Frame is what every page knows beside its own content. It travels in the context.
type Frame struct {
	Lang    i18n.Lang
	Theme   string // "light", "dark", or "" for what the system prefers
	School  string
	Contact string // how to reach the IT desk, as text; may be empty
	Version string
	Who     *site.Identity // nil when signed out
	Foreign bool           // the page is about a site of somebody else: the reader is there as an administrator
	Here    string         // path and query of this page: where the language and theme forms come back to
	Said    string         // what an action before this page has to say; usually empty
	Now     time.Time
	SiteURL func(name string) string // public address of a site
}

type frameKey struct{}

// With returns a context whose pages are drawn in f.
func With(ctx context.Context, f *Frame) context.Context {
	return context.WithValue(ctx, frameKey{}, f)
}

// frame is the frame of ctx. Rendering without one is a programming error and fails loudly.
func frame(ctx context.Context) *Frame { return ctx.Value(frameKey{}).(*Frame) }

// t says key in the reader's language. Pairs are placeholder, value, placeholder, value.
func t(ctx context.Context, key string, pairs ...string) string {
	args := i18n.Args{}
	for i := 0; i+1 < len(pairs); i += 2 {
		args[pairs[i]] = pairs[i+1]
	}
	return i18n.T(frame(ctx).Lang, key, args)
}
