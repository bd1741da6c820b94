package views

import (
	"context"
	"net/url"
	"strings"

	"github.com/a-h/templ"
)

// sitePath is a page of one site inside the panel. Every name in an address is escaped here and nowhere else.
func sitePath(name string, rest ...string) string {
	path := "/s/" + url.PathEscape(name)
	for _, r := range rest {
		path += "/" + r
	}
	return path
}

// withNext adds where to go afterwards.
func withNext(path, next string) string {
	return path + "?next=" + url.QueryEscape(next)
}

// siteURL is a site's public address. It comes from the configuration and a checked name, and must be http or https:
// anything else is not a link a page may hold.
func siteURL(ctx context.Context, name string) templ.SafeURL {
	u := frame(ctx).SiteURL(name)
	if !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") {
		return templ.FailedSanitizationURL
	}
	return templ.SafeURL(u)
}

// siteHost is the address as people say it: without scheme and final slash.
func siteHost(ctx context.Context, name string) string {
	u := frame(ctx).SiteURL(name)
	if _, rest, ok := strings.Cut(u, "://"); ok {
		u = rest
	}
	return strings.TrimSuffix(u, "/")
}
