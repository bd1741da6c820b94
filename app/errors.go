package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"petitpont/site"
	"petitpont/views"

	"github.com/labstack/echo/v4"
)

// statuses is what each code is in HTTP.
var statuses = map[site.Code]int{
	site.CodeWrongPassword: http.StatusUnauthorized,
	site.CodeTooManyTries:  http.StatusTooManyRequests,
	site.CodeDirectoryDown: http.StatusServiceUnavailable,
	site.CodeDirectoryDeny: http.StatusServiceUnavailable,
	site.CodeNoRole:        http.StatusForbidden,
	site.CodeSession:       http.StatusUnauthorized,
	site.CodeForeignForm:   http.StatusForbidden,
	site.CodeNotFound:      http.StatusNotFound,
	site.CodeNameTaken:     http.StatusUnprocessableEntity,
	site.CodeNameReserved:  http.StatusUnprocessableEntity,
	site.CodeNameBad:       http.StatusUnprocessableEntity,
	site.CodeQuota:         http.StatusForbidden,
	site.CodeHostMemory:    http.StatusServiceUnavailable,
	site.CodeHostDisk:      http.StatusInsufficientStorage,
	site.CodeNoTemplate:    http.StatusConflict,
	site.CodeSilent:        http.StatusBadGateway,
	site.CodeServerEnded:   http.StatusBadGateway,
	site.CodeSiteMemory:    http.StatusBadGateway,
	site.CodeLooping:       http.StatusBadGateway,
	site.CodeTyped:         http.StatusUnprocessableEntity,
	site.CodeBusy:          http.StatusConflict,
	site.CodeSessions:      http.StatusConflict,
	site.CodeForbidden:     http.StatusForbidden,
	site.CodeRuntimeDown:   http.StatusServiceUnavailable,
	site.CodeDiskBroken:    http.StatusConflict,
	site.CodeDiskMissing:   http.StatusConflict,
	site.CodeStopped:       http.StatusConflict,
	site.CodeStack:         http.StatusUnprocessableEntity,
	site.CodeLimitSize:     http.StatusUnprocessableEntity,
	site.CodeLimitCount:    http.StatusUnprocessableEntity,
	site.CodeDiskShrinks:   http.StatusUnprocessableEntity,
	site.CodeDiskGrow:      http.StatusInsufficientStorage,
	site.CodeTemplateUsed:  http.StatusConflict,
	site.CodeTemplateNew:   http.StatusConflict,
	site.CodeTemplateBusy:  http.StatusConflict,
	site.CodeTemplateTest:  http.StatusConflict,
	site.CodeTemplateBuild: http.StatusConflict,
	site.CodeNoVersion:     http.StatusNotFound,
	site.CodeUnexpected:    http.StatusInternalServerError,
}

// retryAfter is what a client is told when no better figure is known, in seconds.
const retryAfter = "10"

// fail is where every error of a handler ends: it is logged once, and said in the reader's language.
func (a *App) fail(err error, c echo.Context) {
	if c.Response().Committed {
		a.Log.Error("answer broke off", "path", c.Path(), "err", err)
		return
	}
	if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		return // the reader has gone
	}
	if frameOf(c) == nil { // it failed before the frame: nobody is known to be reading
		a.newFrame(c, nil)
	}
	e := a.explain(c, err)
	c.Response().Header().Set("Vary", "HX-Request, HX-Request-Type, Accept-Language, Cookie")
	if err := a.showError(c, e); err != nil {
		a.Log.Error("draw error page", "err", err)
		_ = c.NoContent(http.StatusInternalServerError)
	}
}

// explain puts an error into words. What nobody can act on gets a reference, which stands in the log beside the cause.
func (a *App) explain(c echo.Context, err error) views.ErrorPage {
	ctx := c.Request().Context()
	var known *site.Error
	var web *echo.HTTPError
	switch {
	case errors.As(err, &known) && known.Code != site.CodeUnexpected:
		e := views.ErrorPage{Status: statusOf(known.Code), Code: known.Code, Text: views.Sentence(ctx, known.Code, known.Args)}
		a.announce(c, known, e.Status)
		return next(e)
	case errors.As(err, &web) && web.Code < 500:
		return next(views.ErrorPage{Status: web.Code, Text: views.T(ctx, webKey(web.Code))})
	}
	ref := newRef()
	a.Log.Error("unexpected", "ref", ref, "method", c.Request().Method, "route", c.Path(), "err", err)
	return next(views.ErrorPage{
		Status: http.StatusInternalServerError, Code: site.CodeUnexpected, Ref: ref,
		Text: views.Sentence(ctx, site.CodeUnexpected, site.Args{"ref": ref}),
	})
}

// announce sets what a client should wait and logs a cause that the reader is not told.
func (a *App) announce(c echo.Context, e *site.Error, status int) {
	switch {
	case e.Code == site.CodeTooManyTries:
		c.Response().Header().Set("Retry-After", e.Args["s"])
	case status == http.StatusServiceUnavailable:
		c.Response().Header().Set("Retry-After", retryAfter)
	}
	if e.Err != nil {
		a.Log.Warn("refused", "code", e.Code, "route", c.Path(), "err", e.Err)
	}
}

func statusOf(code site.Code) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

func webKey(status int) string {
	switch status {
	case http.StatusMethodNotAllowed:
		return "error.method"
	case http.StatusRequestEntityTooLarge:
		return "error.too-large"
	}
	return "error.page"
}

// next is the step offered under an error.
func next(e views.ErrorPage) views.ErrorPage {
	e.Href, e.Label = "/", "next.sites"
	return e
}

// showError says the error where the reader looks: in the dialog, beside the button, or on a page.
func (a *App) showError(c echo.Context, e views.ErrorPage) error {
	switch {
	case !isHTMX(c):
		return a.page(c, e.Status, views.Error(e))
	case c.Request().Header.Get("HX-Target") == "div#dialog-body":
		return a.page(c, e.Status, views.Refused(e.Text))
	}
	return a.page(c, e.Status, views.Alert(e.Text))
}

// newRef is short enough to be read out: 7F3A-21.
func newRef() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%X-%X", b[:2], b[2:])
}
