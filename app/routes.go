package app

import (
	"net/http"
	"strings"

	"petitpont/site"
	"petitpont/static"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// maxBody is more than any form of the panel needs.
const maxBody = "64K"

// routes says every address of the panel. Only GET and POST: a browser without scripts knows no other.
func (a *App) routes() {
	e := a.echo
	e.Use(a.rescue, a.headers, a.oneHost, middleware.BodyLimit(maxBody), compress())
	e.GET(static.Prefix+"*", echo.WrapHandler(static.Handler()))
	e.GET("/robots.txt", robots)

	g := e.Group("", echo.WrapMiddleware(a.Sessions.LoadAndSave), a.frame, a.answerErrors, a.sameOrigin)
	g.GET("/login", a.loginForm)
	g.POST("/login", a.login)
	g.POST("/logout", a.logout)
	g.POST("/lang", a.language)
	g.POST("/theme", a.theme)
	g.GET("/accessibilite", a.accessibility)

	g.GET("/", a.personal(a.dashboard))
	g.GET("/new", a.personal(a.createForm))
	g.POST("/new", a.personal(a.create))
	g.GET("/new/check", a.personal(a.checkName))

	g.GET("/s/:site", a.scoped(a.overview))
	g.GET("/s/:site/progress", a.scoped(a.progress))
	g.POST("/s/:site/start", a.scoped(a.verb("start", a.Sites.Start)))
	g.POST("/s/:site/restart", a.scoped(a.verb("restart", a.Sites.Restart)))
	g.GET("/s/:site/stop", a.scoped(a.stopForm))
	g.POST("/s/:site/stop", a.scoped(a.verb("stop", a.Sites.Stop)))
	g.GET("/s/:site/delete", a.scoped(a.deleteForm))
	g.POST("/s/:site/delete", a.scoped(a.delete))

	g.GET("/admin", a.admin(a.fleet))
	g.GET("/admin/sites", a.admin(a.roll))
}

// The kinds of handler. What a handler is handed tells what has been checked before it: it cannot be registered without.
type (
	personalHandler func(c echo.Context, who site.Identity) error
	scopedHandler   func(c echo.Context, who site.Identity, s site.Site) error
)

// personal lets signed-in people through.
func (a *App) personal(h personalHandler) echo.HandlerFunc {
	return func(c echo.Context) error {
		who := frameOf(c).Who
		if who == nil {
			return a.askToSignIn(c)
		}
		return h(c, *who)
	}
}

// scoped turns the name in the address into a site this person may see, or into 404: no handler ever looks a site up by
// a name somebody sent (RULE SCOPE).
func (a *App) scoped(h scopedHandler) echo.HandlerFunc {
	return a.personal(func(c echo.Context, who site.Identity) error {
		s, err := a.Sites.Find(c.Request().Context(), who, c.Param("site"))
		if err != nil {
			return err
		}
		return h(c, who, s)
	})
}

// admin lets administrators through; to everybody else the page does not exist.
func (a *App) admin(h personalHandler) echo.HandlerFunc {
	return a.personal(func(c echo.Context, who site.Identity) error {
		if !who.Admin {
			return echo.ErrNotFound
		}
		return h(c, who)
	})
}

// compress makes pages a fifth of their size. They hold no secret that a reader could be made to guess at; files are
// compressed already.
func compress() echo.MiddlewareFunc {
	return middleware.GzipWithConfig(middleware.GzipConfig{
		MinLength: 1024,
		Skipper:   func(c echo.Context) bool { return strings.HasPrefix(c.Request().URL.Path, static.Prefix) },
	})
}

func robots(c echo.Context) error { return c.String(http.StatusOK, "User-agent: *\nDisallow: /\n") }
