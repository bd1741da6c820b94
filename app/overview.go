package app

import (
	"fmt"
	"net/url"

	"petitpont/runtime"
	"petitpont/site"
	"petitpont/views"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

// sitePath is the page of s.
func sitePath(s site.Site) string { return "/s/" + url.PathEscape(s.Name) }

// overview is one site: its state, how to put files in, what it uses and may use, how to reach its database.
func (a *App) overview(c echo.Context, who site.Identity, s site.Site) error {
	o, err := a.newOverview(c, who, s)
	if err != nil {
		return err
	}
	return a.live(c, &o.Region,
		func() templ.Component { return views.SiteHead(o) },
		func() templ.Component { return views.Site(o) })
}

func (a *App) newOverview(c echo.Context, who site.Identity, s site.Site) (views.Overview, error) {
	ctx := c.Request().Context()
	o := views.Overview{
		Region: views.Region{ID: "site", URL: sitePath(s), Pace: views.PaceOf(moving(s))},
		Owned:  views.Owned{Site: s},
		SFTP: views.SFTP{
			Host: a.SFTP.Host, Port: a.SFTP.Port, Fingerprint: a.SFTP.Fingerprint, Login: who.Login,
		},
	}
	o.Usage, o.Down = a.usage(c, who, s)
	var err error
	if o.Limits.Limits, err = a.Sites.Limits(ctx, who, s.Name); err != nil {
		return o, fmt.Errorf("read limits: %w", err)
	}
	if s.Stack.HasDatabase() && !isFragment(c) { // no poll carries the password
		if o.Database, err = a.Sites.Database(ctx, who, s.Name); err != nil {
			return o, fmt.Errorf("read credentials: %w", err)
		}
	}
	return o, nil
}

// steps of a creation, in the order they are shown.
var steps = []runtime.Step{runtime.StepDisk, runtime.StepNetwork, runtime.StepStart, runtime.StepAnswer}

// progress shows a site being made. It may be left and found again.
func (a *App) progress(c echo.Context, who site.Identity, s site.Site) error {
	p, err := a.Sites.Progress(c.Request().Context(), who, s.Name)
	if err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	if p.Done && p.Fault == nil && s.State != site.Awake {
		return moveTo(c, sitePath(s)) // made long ago, and at rest: there is nothing to watch
	}
	m := views.Making{
		Region: views.Region{ID: "making", URL: sitePath(s) + "/progress", Pace: views.Watched},
		Site:   s, Done: p.Done, Fault: p.Fault,
	}
	if m.Done {
		m.Pace = views.Calm
	}
	for _, step := range steps {
		m.Steps = append(m.Steps, stepLine(step, p))
	}
	return a.live(c, &m.Region,
		func() templ.Component { return views.Steps(m) },
		func() templ.Component { return views.Progress(m) })
}

// stepLine is what is known of a step: the last time it was taken, or nothing yet.
func stepLine(step runtime.Step, p site.Progress) views.StepLine {
	l := views.StepLine{Step: step}
	for _, s := range p.Steps {
		if s.Step == step {
			l.Began, l.Ended = s.Began, s.Ended
		}
	}
	return l
}
