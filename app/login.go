package app

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"petitpont/site"
	"petitpont/views"

	"github.com/labstack/echo/v4"
)

func (a *App) loginForm(c echo.Context) error {
	next := localPath(c.QueryParam("next"), "/")
	if frameOf(c).Who != nil {
		return c.Redirect(http.StatusSeeOther, next)
	}
	f := views.LoginForm{Next: next}
	switch {
	case c.QueryParam("expired") != "":
		f.Note = views.Sentence(c.Request().Context(), site.CodeSession, nil)
	case c.QueryParam("out") != "":
		f.Note = views.T(c.Request().Context(), "login.out")
	}
	return a.page(c, http.StatusOK, views.Login(f))
}

func (a *App) login(c echo.Context) error {
	f := views.LoginForm{
		Login: strings.TrimSpace(c.FormValue("login")),
		Next:  localPath(c.FormValue("next"), "/"),
		Keep:  c.FormValue("keep") != "",
	}
	who, err := a.Sites.Login(c.Request().Context(), f.Login, c.FormValue("password"), from(c))
	var refused *site.Error
	if errors.As(err, &refused) && refused.Code != site.CodeUnexpected {
		return a.refuseLogin(c, f, refused)
	}
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	if err := a.open(c, who, f.Keep); err != nil {
		return err
	}
	a.Log.Info("signed in", "login", who.Login, "from", from(c))
	return c.Redirect(http.StatusSeeOther, f.Next)
}

// refuseLogin shows the form again with what was typed, but for the password.
func (a *App) refuseLogin(c echo.Context, f views.LoginForm, e *site.Error) error {
	status := statusOf(e.Code)
	a.announce(c, e, status)
	f.Fault = views.Sentence(c.Request().Context(), e.Code, e.Args)
	f.Blame = e.Code == site.CodeWrongPassword
	return a.page(c, status, views.Login(f))
}

// logout ends the session on the server; the cookie is worth nothing afterwards, wherever it was copied to.
func (a *App) logout(c echo.Context) error {
	if err := a.Sessions.Destroy(c.Request().Context()); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return c.Redirect(http.StatusSeeOther, "/login?out=1")
}

// askToSignIn sends a reader to the form and back afterwards. A form that was sent answers 401 with the sign-in page,
// and nothing typed is lost: the name in a create form travels along.
func (a *App) askToSignIn(c echo.Context) error {
	r := c.Request()
	next, expired := here(r), a.hadSession(r)
	if r.URL.Path == "/new" && r.Method == http.MethodPost {
		next = "/new?name=" + url.QueryEscape(c.FormValue("name"))
	}
	if isHTMX(c) {
		next = localPath(requestURI(r.Header.Get("HX-Current-URL")), "/")
	}
	to := "/login?next=" + url.QueryEscape(next)
	if expired {
		to += "&expired=1"
	}
	switch {
	case isHTMX(c):
		c.Response().Header().Set("HX-Redirect", to)
		return c.NoContent(http.StatusUnauthorized)
	case r.Method == http.MethodPost:
		return a.page(c, http.StatusUnauthorized, views.Login(views.LoginForm{
			Next: next, Fault: views.Sentence(r.Context(), site.CodeSession, nil),
		}))
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// hadSession tells that the browser has been signed in: its session is over, which is worth a word.
func (a *App) hadSession(r *http.Request) bool {
	_, err := r.Cookie(a.Sessions.Cookie.Name)
	return err == nil
}

func requestURI(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.RequestURI()
}

// from is the address of who asks; see whereFrom.
func from(c echo.Context) netip.Addr {
	addr, _ := netip.ParseAddr(c.RealIP()) // the zero Addr is throttled like any other
	return addr.Unmap().WithZone("")
}
