package views

import (
	"context"
	"net/url"
	"strings"
)

// suffix is what follows the name in an address: .sites.ecole.fr
func suffix(ctx context.Context) string {
	const probe = "petitpont-probe"
	host := siteHost(ctx, probe)
	if rest, ok := strings.CutPrefix(host, probe); ok {
		return rest
	}
	return ""
}

// withName is the create form with a name filled in.
func withName(name string) string { return "/new?name=" + url.QueryEscape(name) }
