package app

import (
	"errors"
	"fmt"

	"petitpont/site"
	"petitpont/views"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

// health is how petitpont itself does, and what the last selfcheck found.
func (a *App) health(c echo.Context, who site.Identity) error {
	p, err := a.newHealth(c, who)
	if err != nil {
		return err
	}
	return a.live(c, &p.Region,
		func() templ.Component { return views.HealthBody(p) },
		func() templ.Component { return views.Health(p) })
}

func (a *App) newHealth(c echo.Context, who site.Identity) (views.HealthPage, error) {
	h, err := a.Sites.Health(c.Request().Context(), who)
	if err != nil {
		return views.HealthPage{}, fmt.Errorf("look at health: %w", err)
	}
	return views.HealthPage{Region: views.Region{ID: "health", URL: "/admin/health", Pace: views.Slow}, Health: h}, nil
}

// deleteStray destroys a container no site owns, once its ID has been typed.
func (a *App) deleteStray(c echo.Context, who site.Identity) error {
	ctx, id, typed := c.Request().Context(), c.Param("id"), c.FormValue("typed")
	err := a.Sites.DeleteStray(ctx, who, id, typed)
	var refused *site.Error
	if errors.As(err, &refused) && refused.Code == site.CodeTyped {
		p, err := a.newHealth(c, who)
		if err != nil {
			return err
		}
		p.V, err = fingerprint(ctx, views.HealthBody(p))
		if err != nil {
			return err
		}
		p.Fault, p.Blame, p.Typed = views.Sentence(ctx, refused.Code, refused.Args), id, typed
		return a.page(c, statusOf(refused.Code), views.Health(p))
	}
	if err != nil {
		return fmt.Errorf("delete stray: %w", err)
	}
	return a.accepted(c, views.T(ctx, "said.stray", "s", id), "/admin/health")
}
