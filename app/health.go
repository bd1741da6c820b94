package app

import (
	"fmt"

	"petitpont/site"
	"petitpont/views"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

// health is how petitpont itself does, and what the last selfcheck found.
func (a *App) health(c echo.Context, who site.Identity) error {
	h, err := a.Sites.Health(c.Request().Context(), who)
	if err != nil {
		return fmt.Errorf("look at health: %w", err)
	}
	p := views.HealthPage{Region: views.Region{ID: "health", URL: "/admin/health", Pace: views.Slow}, Health: h}
	return a.live(c, &p.Region,
		func() templ.Component { return views.HealthBody(p) },
		func() templ.Component { return views.Health(p) })
}
