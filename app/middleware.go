package app

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"petitpont/site"
	"petitpont/static"
	"petitpont/views"
	"petitpont/views/i18n"

	"github.com/labstack/echo/v4"
)

// policy lets a page load from the panel itself and from nowhere else, run no inline script or style, send forms
// nowhere else, and stand in no frame (RULE TEXT). data: is for the arrows Bootstrap draws.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// headers puts what protects the reader on every answer, errors and files included.
func (a *App) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // no-referrer would blank the Origin that sameOrigin reads
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		if a.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !strings.HasPrefix(c.Request().URL.Path, static.Prefix) {
			h.Set("Cache-Control", "no-store")
			h.Add("Vary", "HX-Request, HX-Request-Type, Accept-Language")
		}
		return next(c)
	}
}

// oneHost keeps the panel on its own host name: a page asked for under another is found at the right one, and nothing
// else is answered there.
func (a *App) oneHost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if a.host == "" || strings.EqualFold(usual(r.Host), a.host) {
			return next(c)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return c.NoContent(http.StatusMisdirectedRequest)
		}
		return c.Redirect(http.StatusTemporaryRedirect, strings.TrimSuffix(a.PanelURL, "/")+r.URL.RequestURI())
	}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return usual(u.Host)
}

// usual leaves out a port that browsers leave out.
func usual(host string) string {
	return strings.TrimSuffix(strings.TrimSuffix(host, ":80"), ":443")
}

// sameOrigin refuses what another site sent in the reader's name. The sites of students are siblings of the panel under
// one domain, so "same-site" is as foreign as "cross-site", and there is no token to fall back to (RULE ORIGIN).
func (a *App) sameOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	protection := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		if err := protection.Check(c.Request()); err != nil {
			return &site.Error{Code: site.CodeForeignForm, Err: err}
		}
		return next(c)
	}
}

// frame gives every page what it needs beside its content: language, theme, and who is reading.
func (a *App) frame(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		a.newFrame(c, a.whoIs(c))
		return next(c)
	}
}

func (a *App) newFrame(c echo.Context, who *site.Identity) *views.Frame {
	r := c.Request()
	f := &views.Frame{
		Lang: a.langOf(c), Theme: a.themeOf(c), Who: who, Here: here(r), Now: a.Now(),
		School: a.School, Contact: a.Contact, Version: a.Version, SiteURL: a.SiteURL,
	}
	c.Set("frame", f)
	c.SetRequest(r.WithContext(views.With(r.Context(), f)))
	return f
}

// frameOf is the frame of a request; nil before the frame middleware has run.
func frameOf(c echo.Context) *views.Frame {
	f, _ := c.Get("frame").(*views.Frame)
	return f
}

// here is where the page of a request can be had again by GET.
func here(r *http.Request) string {
	u := url.URL{Path: r.URL.Path}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		q := r.URL.Query()
		q.Del("v") // the fingerprint of a region, not part of the address
		u.RawQuery = q.Encode()
	default:
		for _, verb := range []string{"/start", "/restart", "/limits", "/logout", "/lang", "/theme", "/build", "/test", "/publish", "/retire", "/move"} {
			u.Path = strings.TrimSuffix(u.Path, verb)
		}
		u.Path, _, _ = strings.Cut(u.Path, "/strays/")
	}
	return localPath(u.String(), "/")
}

// answerErrors writes the answer to an error while the session is still open, so that its page knows who is reading.
func (a *App) answerErrors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := next(c); err != nil {
			c.Error(err)
		}
		return nil
	}
}

// rescue turns a panic into an answer and a line in the log.
func (a *App) rescue(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				if cause, ok := r.(error); ok && errors.Is(cause, http.ErrAbortHandler) {
					panic(r)
				}
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		return next(c)
	}
}

func (a *App) langOf(c echo.Context) i18n.Lang {
	if l, err := c.Cookie(a.cookieName("lang")); err == nil && (l.Value == "fr" || l.Value == "en") {
		return i18n.Lang(l.Value)
	}
	return i18n.Pick(c.Request().Header.Get("Accept-Language"))
}

func (a *App) themeOf(c echo.Context) string {
	if t, err := c.Cookie(a.cookieName("theme")); err == nil && (t.Value == "light" || t.Value == "dark") {
		return t.Value
	}
	return ""
}
