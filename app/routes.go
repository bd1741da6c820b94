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
	e.Use(a.headers, a.oneHost, files, compress,
		echo.WrapMiddleware(a.Sessions.LoadAndSave), a.frame, a.answerErrors, a.rescue, a.sameOrigin, middleware.BodyLimit(maxBody))

	e.GET("/login", a.loginForm)
	e.POST("/login", a.login)
	e.POST("/logout", a.logout)
	e.POST("/lang", a.language)
	e.POST("/theme", a.theme)
	e.GET("/accessibilite", a.accessibility)
	e.GET("/robots.txt", robots)

	e.GET("/", a.personal(a.dashboard))
	e.GET("/new", a.personal(a.createForm))
	e.POST("/new", a.personal(a.create))
	e.GET("/new/check", a.personal(a.checkName))
	e.GET("/new/options", a.personal(a.stackOptions))

	e.GET("/s/:site", a.scoped(a.overview))
	e.GET("/s/:site/progress", a.scoped(a.progress))
	e.POST("/s/:site/start", a.scoped(a.verb("start", a.Sites.Start)))
	e.POST("/s/:site/restart", a.scoped(a.verb("restart", a.Sites.Restart)))
	e.GET("/s/:site/stop", a.scoped(a.stopForm))
	e.POST("/s/:site/stop", a.scoped(a.verb("stop", a.Sites.Stop)))
	e.GET("/s/:site/delete", a.scoped(a.deleteForm))
	e.POST("/s/:site/delete", a.scoped(a.delete))

	e.POST("/s/:site/limits", a.scoped(a.setLimits))

	e.GET("/admin", a.admin(a.fleet))
	e.GET("/admin/sites", a.admin(a.roll))
	e.GET("/admin/templates", a.admin(a.templates))
	e.POST("/admin/templates/build", a.admin(a.buildTemplate))
	e.POST("/admin/templates/test", a.admin(a.versionVerb("test", a.Sites.TestTemplate)))
	e.POST("/admin/templates/publish", a.admin(a.versionVerb("publish", a.Sites.PublishTemplate)))
	e.GET("/admin/templates/retire", a.admin(a.retireForm))
	e.POST("/admin/templates/retire", a.admin(a.versionVerb("retire", a.Sites.RetireTemplate)))
	e.GET("/admin/templates/move", a.admin(a.moveForm))
	e.POST("/admin/templates/move", a.admin(a.moveSites))
	e.GET("/admin/health", a.admin(a.health))
	e.POST("/admin/health/strays/:id", a.admin(a.deleteStray))
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
		frameOf(c).Foreign = s.Owner != who.Key
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

// files answers what needs no session.
func files(next echo.HandlerFunc) echo.HandlerFunc {
	handler := static.Handler()
	return func(c echo.Context) error {
		if !strings.HasPrefix(c.Request().URL.Path, static.Prefix) {
			return next(c)
		}
		handler.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}

// compress makes pages a fifth of their size, except the one that holds a password: the size of what is compressed tells
// something of what is in it.
var compress = middleware.GzipWithConfig(middleware.GzipConfig{
	MinLength: 1024,
	Skipper:   func(c echo.Context) bool { return strings.HasPrefix(c.Path(), "/s/:site") },
})

func robots(c echo.Context) error { return c.String(http.StatusOK, "User-agent: *\nDisallow: /\n") }
