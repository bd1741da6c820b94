package app

import (
	"net/http"

	"petitpont/views"

	"github.com/labstack/echo/v4"
)

// language and theme are kept by the browser, not by the session: they hold before somebody signs in, too.
func (a *App) language(c echo.Context) error {
	return a.prefer(c, "lang", c.FormValue("lang"), "fr", "en")
}

func (a *App) theme(c echo.Context) error {
	return a.prefer(c, "theme", c.FormValue("theme"), "auto", "light", "dark")
}

// prefer remembers one of the allowed values for a year; anything else changes nothing.
func (a *App) prefer(c echo.Context, name, value string, allowed ...string) error {
	for _, v := range allowed {
		if v == value {
			c.SetCookie(&http.Cookie{
				Name: a.cookieName(name), Value: value, Path: "/", MaxAge: 365 * 24 * 3600,
				Secure: a.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
			})
		}
	}
	return c.Redirect(http.StatusSeeOther, localPath(c.FormValue("next"), "/"))
}

// cookieName carries the __Host- prefix over HTTPS: only this very host can have set such a cookie.
func (a *App) cookieName(name string) string {
	if a.Secure {
		return "__Host-pp-" + name
	}
	return "pp-" + name
}

func (a *App) accessibility(c echo.Context) error {
	return a.page(c, http.StatusOK, views.Accessibility())
}
