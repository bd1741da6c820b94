package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"petitpont/site"

	"github.com/labstack/echo/v4"
)

// How long a session lives. The clock of idleness is our own: scs would write the session at every poll, and an open
// page would never be idle.
const (
	sessionLife = 8 * time.Hour    // whatever happens
	sessionIdle = 2 * time.Hour    // without a click; not for those who asked to stay signed in
	sessionTick = 10 * time.Minute // a click is noted at most so often
)

// Keys of a session.
const (
	keyWho  = "who"  // site.Identity as JSON: the whole of it, minted at sign-in (RULE ID)
	keySeen = "seen" // unix seconds of the last click
	keyKeep = "keep" // asked to stay signed in
	keySaid = "said" // what the next page has to say
)

func (a *App) setUpSessions() {
	s := a.Sessions
	s.HashTokenInStore = true // who reads the database cannot sign in with it
	s.Lifetime, s.IdleTimeout = sessionLife, 0
	s.Cookie.Name = a.cookieName("session")
	s.Cookie.Path, s.Cookie.Domain = "/", ""
	s.Cookie.HttpOnly, s.Cookie.Secure, s.Cookie.SameSite = true, a.Secure, http.SameSiteLaxMode
	s.Cookie.Persist = false // ends with the browser unless asked otherwise
	s.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		a.Log.Error("session store", "err", err)
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	}
}

// whoIs is the person of a request, or nil. A session that was idle for too long or whose person was revoked ends here,
// on the server, for good (RULE EPOCH).
func (a *App) whoIs(c echo.Context) *site.Identity {
	ctx := c.Request().Context()
	b := a.Sessions.GetBytes(ctx, keyWho)
	if b == nil {
		return nil
	}
	var who site.Identity
	if err := json.Unmarshal(b, &who); err != nil || a.idle(c) || a.revoked(who) {
		if err := a.Sessions.Destroy(ctx); err != nil {
			a.Log.Error("end session", "err", err)
		}
		return nil
	}
	return &who
}

// idle tells whether nobody has clicked for too long, and notes the click this request is. A poll is no click.
func (a *App) idle(c echo.Context) bool {
	ctx := c.Request().Context()
	away := a.Now().Sub(time.Unix(a.Sessions.GetInt64(ctx, keySeen), 0))
	if away > sessionIdle && !a.Sessions.GetBool(ctx, keyKeep) {
		return true
	}
	if away > sessionTick && c.QueryParam("v") == "" {
		a.Sessions.Put(ctx, keySeen, a.Now().Unix())
	}
	return false
}

func (a *App) revoked(who site.Identity) bool {
	select {
	case <-a.Sites.Revoked(who): // a nil channel never answers
		return true
	default:
		return false
	}
}

// open begins a session for who under a new token, so that a token somebody planted before is worth nothing.
func (a *App) open(c echo.Context, who site.Identity, keep bool) error {
	ctx := c.Request().Context()
	if err := a.Sessions.Clear(ctx); err != nil {
		return fmt.Errorf("clear session: %w", err)
	}
	if err := a.Sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("renew session token: %w", err)
	}
	b, err := json.Marshal(who)
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	a.Sessions.Put(ctx, keyWho, b)
	a.Sessions.Put(ctx, keySeen, a.Now().Unix())
	a.Sessions.Put(ctx, keyKeep, keep)
	a.Sessions.RememberMe(ctx, keep)
	return nil
}

// say leaves a sentence for the next page this person sees.
func (a *App) say(c echo.Context, text string) { a.Sessions.Put(c.Request().Context(), keySaid, text) }

// said takes that sentence, once.
func (a *App) said(c echo.Context) string {
	return a.Sessions.PopString(c.Request().Context(), keySaid)
}
