// Package app is the panel: sign in, one's sites, their creation and life, and the administrator's lists.
//
// It is the only package that knows echo. Every action is a real form or link that works without JavaScript; htmx only
// upgrades it. A handler reads the request, makes a call to Sites, and renders or returns the error.
package app

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/labstack/echo/v4"
)

// Config is what a panel is made of. Sites, Sessions and SiteURL are required.
type Config struct {
	Sites    Sites
	Sessions *scs.SessionManager // New sets its cookie, its lifetime and the hashing of tokens; only the store is the caller's

	// Secure says that the panel is reached over HTTPS: its cookies then carry the __Host- prefix, which a sibling
	// host name can neither read nor set (RULE ORIGIN), and browsers are told to come back over HTTPS only. Plain
	// HTTP is meant for localhost, where a browser offers no such cookie.
	Secure bool

	PanelURL string                   // origin of the panel; requests for another host name are sent there. Empty: any
	SiteURL  func(name string) string // public address of a site
	Trusted  []netip.Prefix           // proxies in front of the panel, whose X-Forwarded-For is believed
	SFTP     SFTP                     // how files come in, as the site's page says it
	School   string                   // its name, for people
	Contact  string                   // how to reach the IT desk, as text; may be empty
	Version  string

	Log *slog.Logger     // nil is slog.Default
	Now func() time.Time // nil is time.Now
}

// SFTP is where the gate is found, as people reach it.
type SFTP struct {
	Host        string
	Port        int
	Fingerprint string // of the host key, as SHA256:…; empty when not known
}

// App is the panel as a handler.
type App struct {
	Config
	echo *echo.Echo
	host string // of PanelURL, with its port
}

// New makes the panel.
func New(c Config) *App {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &App{Config: c, echo: echo.New(), host: hostOf(c.PanelURL)}
	a.setUpSessions()
	a.echo.HTTPErrorHandler = a.fail
	a.echo.IPExtractor = whereFrom(c.Trusted)
	a.routes()
	return a
}

// whereFrom finds the address a request comes from: that of the peer, for no header of a stranger is believed; behind
// trusted proxies the last one that none of them vouches for. Without it, one address would stand for everybody, and one
// who guesses passwords would keep all from signing in.
func whereFrom(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		p = p.Masked()
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// ServeHTTP answers HEAD as GET: what is written as a body then is net/http's to drop, so the header is the same.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		asked := *r
		asked.Method = http.MethodGet
		r = &asked
	}
	a.echo.ServeHTTP(w, r)
}
