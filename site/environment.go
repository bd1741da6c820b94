package site

import (
	"slices"
	"strings"

	"petitpont/runtime"
)

// WebProxy is the school's HTTP proxy, when sites reach the outside through one (R86). The zero WebProxy is none.
type WebProxy struct {
	URL    string   // http://proxy.ecole.fr:3128
	Direct []string // host names and domains reached without it, as ecole.fr
}

// env are its variables, in both spellings, for programs differ in the one they read. None of them understands all
// forms of exceptions, so the list holds only what all do: host names, and domains with and without the leading dot;
// no networks, no spaces, no asterisks (R87).
func (p WebProxy) env(hostname, domain string) []string {
	if p.URL == "" {
		return nil
	}
	direct := []string{"localhost", "127.0.0.1", "::1", hostname}
	for _, d := range append([]string{domain}, p.Direct...) {
		if d = strings.Trim(strings.ToLower(d), ". "); d != "" && d != "localhost" {
			direct = append(direct, d, "."+d)
		}
	}
	slices.Sort(direct[4:])
	except := strings.Join(slices.Compact(direct), ",")
	var all []string
	for name, value := range map[string]string{"http_proxy": p.URL, "https_proxy": p.URL, "no_proxy": except} {
		all = append(all, name+"="+value, strings.ToUpper(name)+"="+value)
	}
	slices.Sort(all)
	return all
}

// env is what every program of the site is told.
func (s Site) env(password Secret, proxy WebProxy, domain string) []string {
	all := []string{
		"PETITPONT_SITE=" + s.Name, "PETITPONT_SERVER=" + s.Stack.Server,
		"PETITPONT_LANGUAGE=" + s.Stack.Language, "PETITPONT_DATABASE=" + s.Stack.Database,
	}
	all = append(all, s.Stack.database(password).env()...)
	return append(all, proxy.env(s.Name, domain)...)
}

// spec is the container of a site.
func (v *Service) spec(e *entry) runtime.Spec {
	s := e.snapshot()
	return runtime.Spec{
		ID:       string(s.ID),
		Template: s.Stack.Template,
		Slot:     s.Slot,
		Segment:  v.plan(s.Role).Segment,
		Hostname: s.Name,
		Services: s.Stack.services(),
		Env:      s.env(e.password, v.cfg.Proxy, v.cfg.Domain),
		Limits:   v.limits(s),
	}
}
