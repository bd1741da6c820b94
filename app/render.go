package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"petitpont/views"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

// page writes a whole page or a fragment. It is drawn before the first byte leaves, so an error can still be said.
func (a *App) page(c echo.Context, status int, content templ.Component) error {
	if f := frameOf(c); f.Who != nil && !isFragment(c) {
		f.Said = a.said(c)
	}
	var b bytes.Buffer
	if err := content.Render(c.Request().Context(), &b); err != nil {
		return fmt.Errorf("draw page: %w", err)
	}
	return c.HTMLBlob(status, b.Bytes())
}

// isHTMX tells that a script asks.
func isHTMX(c echo.Context) bool { return c.Request().Header.Get("HX-Request") == "true" }

// isFragment tells that a script asks for a part of a page, and not for the page to take a part of.
func isFragment(c echo.Context) bool {
	return isHTMX(c) && c.Request().Header.Get("HX-Request-Type") == "partial"
}

// live answers a script that looks again with the region alone, or with 204 while it shows what it showed; everybody
// else gets the whole page around it.
func (a *App) live(c echo.Context, r *views.Region, inside, whole func() templ.Component) error {
	v, err := fingerprint(c.Request().Context(), inside())
	if err != nil {
		return err
	}
	r.V = v
	switch {
	case !isFragment(c):
		return a.page(c, http.StatusOK, whole())
	case c.QueryParam("v") == v:
		return c.NoContent(http.StatusNoContent)
	}
	return a.page(c, http.StatusOK, views.Again(*r, inside()))
}

// fingerprint is short and changes with every byte of what is drawn.
func fingerprint(ctx context.Context, content templ.Component) (string, error) {
	sum := sha256.New()
	if err := content.Render(ctx, sum); err != nil {
		return "", fmt.Errorf("draw region: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:9]), nil
}

// moveTo sends the reader on, with scripts or without.
func moveTo(c echo.Context, to string) error {
	if isHTMX(c) {
		c.Response().Header().Set("HX-Redirect", to)
		return c.NoContent(http.StatusOK)
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// accepted answers an action that was taken on: the page it came from stays where it is and looks again, any other
// reader is sent to next, where the sentence is said.
func (a *App) accepted(c echo.Context, text, next string) error {
	if isHTMX(c) && pathOf(c.Request().Header.Get("HX-Current-URL")) == pathOf(next) {
		c.Response().Header().Set("HX-Trigger", trigger("petitpont:changed", text))
		return c.NoContent(http.StatusNoContent)
	}
	a.say(c, text)
	return moveTo(c, next)
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

// trigger is an event for the page's script, in the ASCII that a header can carry.
func trigger(event, say string) string {
	b, _ := json.Marshal(map[string]map[string]string{event: {"say": say}}) // strings always marshal
	var ascii bytes.Buffer
	for _, r := range string(b) {
		if r < 0x80 {
			ascii.WriteRune(r)
			continue
		}
		fmt.Fprintf(&ascii, `\u%04x`, r)
	}
	return ascii.String()
}
