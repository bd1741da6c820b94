package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"petitpont/site"
	"petitpont/views"

	"github.com/labstack/echo/v4"
)

// verb is a handler for what is asked of a site and needs no answer but yes: the wish is stored, the page looks again.
func (a *App) verb(name string, ask func(context.Context, site.Identity, string) error) scopedHandler {
	return func(c echo.Context, who site.Identity, s site.Site) error {
		if err := ask(c.Request().Context(), who, s.Name); err != nil {
			return fmt.Errorf("%s site: %w", name, err)
		}
		a.Log.Info("asked", "verb", name, "site", s.ID, "by", who.Login)
		text := views.T(c.Request().Context(), "said."+name, "s", s.Name)
		return a.accepted(c, text, localPath(c.FormValue("next"), sitePath(s)))
	}
}

// stopForm is the question before a stop.
func (a *App) stopForm(c echo.Context, _ site.Identity, s site.Site) error {
	q := question(c, s, sitePath(s))
	if q.Dialog {
		return a.page(c, http.StatusOK, views.Stop(q))
	}
	return a.page(c, http.StatusOK, views.StopPage(q))
}

// deleteForm is the question before a deletion.
func (a *App) deleteForm(c echo.Context, _ site.Identity, s site.Site) error {
	return a.askDelete(c, http.StatusOK, question(c, s, "/"))
}

func (a *App) askDelete(c echo.Context, status int, q views.Question) error {
	if q.Dialog {
		return a.page(c, status, views.Delete(q))
	}
	return a.page(c, status, views.DeletePage(q))
}

func question(c echo.Context, s site.Site, fallback string) views.Question {
	return views.Question{Site: s, Next: localPath(c.FormValue("next"), fallback), Dialog: isFragment(c)}
}

// delete erases a site whose name was typed. Anything else typed erases nothing.
func (a *App) delete(c echo.Context, who site.Identity, s site.Site) error {
	ctx := c.Request().Context()
	q := question(c, s, "/")
	q.Typed = strings.ToLower(strings.TrimSpace(c.FormValue("confirm"))) // a phone's capital is no other name
	err := a.Sites.Delete(ctx, who, s.Name, q.Typed)
	var refused *site.Error
	if errors.As(err, &refused) && refused.Code == site.CodeTyped {
		q.Fault, q.Blame = views.Sentence(ctx, refused.Code, refused.Args), true
		return a.askDelete(c, http.StatusUnprocessableEntity, q)
	}
	if err != nil {
		return fmt.Errorf("delete site: %w", err)
	}
	a.Log.Info("asked", "verb", "delete", "site", s.ID, "by", who.Login)
	return a.accepted(c, views.T(ctx, "said.delete", "s", s.Name), q.Next)
}
