package app

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"petitpont/runtime"
	"petitpont/site"
	"petitpont/views"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

// dashboard is what a person has; somebody who has nothing yet finds the create form there.
func (a *App) dashboard(c echo.Context, who site.Identity) error {
	mine, err := a.Sites.Mine(c.Request().Context(), who)
	if err != nil {
		return fmt.Errorf("list sites: %w", err)
	}
	switch {
	case len(mine) == 0 && isFragment(c):
		return moveTo(c, "/") // the last site has gone: the page that watches the list becomes the one that creates
	case len(mine) == 0:
		f, err := a.newForm(c, who, 0)
		if err != nil {
			return err
		}
		return a.page(c, http.StatusOK, views.Welcome(f))
	}
	d := views.Dashboard{Region: views.Region{ID: "sites", URL: "/"}, Max: a.Sites.Plan(who).Sites}
	d.Sites, d.Down = a.measure(c, who, mine)
	d.Pace = views.PaceOf(slices.ContainsFunc(mine, moving))
	slices.SortStableFunc(d.Sites, func(x, y views.Owned) int { return urgency(x.Site) - urgency(y.Site) })
	return a.live(c, &d.Region,
		func() templ.Component { return views.SiteList(d) },
		func() templ.Component { return views.Sites(d) })
}

// measure reads what each site uses. A reading that fails leaves a gap; down tells that the runtime is silent.
func (a *App) measure(c echo.Context, who site.Identity, mine []site.Site) (all []views.Owned, down bool) {
	for _, s := range mine {
		o := views.Owned{Site: s}
		if !down {
			o.Usage, down = a.usage(c, who, s)
		}
		all = append(all, o)
	}
	return all, down
}

func (a *App) usage(c echo.Context, who site.Identity, s site.Site) (u *runtime.Usage, down bool) {
	reading, err := a.Sites.Usage(c.Request().Context(), who, s.Name)
	if err == nil {
		return &reading, false
	}
	var known *site.Error
	down = errors.Is(err, runtime.ErrDown) || errors.As(err, &known) && known.Code == site.CodeRuntimeDown
	return nil, down
}

func moving(s site.Site) bool { return views.StateOf(s).Moving }

// urgency puts what is broken first.
func urgency(s site.Site) int {
	if s.State == site.Failed {
		return 0
	}
	return 1
}
