package sshgate

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"petitpont/site"
	"petitpont/views/i18n"
)

// What is offered. No chacha20: x/crypto has no assembly for it on amd64, and OpenSSH's client would pick it, or CTR
// before GCM. The client's order counts, so OpenSSH, which has had GCM since 2013, is offered nothing else
// (GATEWAYS.md, 0.4: 1.7 times the speed at half the CPU). CTR with encrypt-then-MAC is for other clients.
func algorithms(version string) gossh.Config {
	c := offered
	if strings.HasPrefix(version, "SSH-2.0-OpenSSH_") {
		c.Ciphers = offered.Ciphers[:2]
	}
	return c
}

var offered = gossh.Config{
	KeyExchanges: []string{
		gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519, "curve25519-sha256@libssh.org", gossh.KeyExchangeDH16SHA512,
	},
	Ciphers: []string{gossh.CipherAES128GCM, gossh.CipherAES256GCM, gossh.CipherAES256CTR, gossh.CipherAES128CTR},
	MACs:    []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM},
}

// visitor is who has logged in on a connection, and which site was named with the login ("" for all of them).
type visitor struct {
	who  site.Identity
	site string
}

type visitorKey struct{}

var (
	errNone        = errors.New("authentication is required")
	errNameChanged = errors.New("the user name changed during authentication")
	errTooMany     = errors.New("too many connections of one person")
	errNoPassword  = errors.New("empty password")
)

// serverConfig holds the authentication of one connection. Nothing here is shared with another connection or another
// attempt: every success mints fresh Permissions (RULE ID; gliderlabs/ssh PR 243, CVE-2024-45337).
func (g *Gate) serverConfig(c *conn) *gossh.ServerConfig {
	return &gossh.ServerConfig{
		Config:              algorithms(c.version()),
		MaxAuthTries:        g.Limits.Tries,
		PreAuthConnCallback: func(gossh.ServerPreAuthConn) { c.greeted.Store(true) },
		// The banner is asked for at the first request of any method, the earliest moment a name is heard.
		BannerCallback: func(m gossh.ConnMetadata) string { c.sameName(typedName(m)); return "" },
		// gliderlabs/ssh opens the door when it has no handler of its own (SAFETY.md, fact 2); this shuts it again.
		NoClientAuth:         true,
		NoClientAuthCallback: func(gossh.ConnMetadata) (*gossh.Permissions, error) { return nil, errNone },
		PasswordCallback: func(m gossh.ConnMetadata, password []byte) (*gossh.Permissions, error) {
			return g.authenticate(c, m, string(password))
		},
		KeyboardInteractiveCallback: func(m gossh.ConnMetadata, ask gossh.KeyboardInteractiveChallenge) (*gossh.Permissions, error) {
			answers, err := ask("", "", []string{i18n.T(g.Lang, "gate.password")}, []bool{false})
			if err != nil || len(answers) != 1 {
				return nil, errors.Join(errNoPassword, err)
			}
			return g.authenticate(c, m, answers[0])
		},
		AuthLogCallback: func(_ gossh.ConnMetadata, method string, err error) {
			if err == nil {
				c.enter()
			} else if method != "none" {
				g.Log.Info("ssh login refused", "conn", c.id, "from", c.from, "method", method, "err", err)
			}
		},
	}
}

// typedName is the only reader of the name in an authentication request, and this package's only call of User: a test
// holds it so. What it returns is a claim; it leads to an Identity through Login or nowhere.
func typedName(m gossh.ConnMetadata) string { return m.User() }

// authenticate turns a name and a password into Permissions that carry the Identity.
func (g *Gate) authenticate(c *conn, m gossh.ConnMetadata, password string) (*gossh.Permissions, error) {
	name := typedName(m)
	if !c.sameName(name) {
		_ = c.Close()
		return nil, errNameChanged
	}
	if password == "" { // an LDAP bind without a password always succeeds
		return nil, errNoPassword
	}
	login, siteName := splitName(name)
	ctx, cancel := context.WithTimeout(c.ctx, g.Limits.Handshake)
	defer cancel()
	who, err := g.Sites.Login(ctx, login, password, c.from)
	if err != nil {
		return nil, g.refusal(err)
	}
	if !c.belongs(who.Key) {
		return nil, g.banner(errTooMany, i18n.T(g.Lang, "gate.connections"))
	}
	g.Log.Info("ssh login", "conn", c.id, "from", c.from, "who", who.Login, "site", printable(siteName))
	go c.endWhen(g.Sites.Revoked(who), who)
	return &gossh.Permissions{ExtraData: map[any]any{visitorKey{}: &visitor{who, siteName}}}, nil
}

// endWhen closes c when revoked is closed (RULE EPOCH), and says meanwhile that who is still here.
func (c *conn) endWhen(revoked <-chan struct{}, who site.Identity) {
	tick := time.NewTicker(c.gate.Limits.Presence)
	defer tick.Stop()
	for {
		select {
		case <-revoked:
			c.gate.Log.Info("ssh revoked", "conn", c.id)
			_ = c.Close()
			return
		case <-tick.C:
			revoked = c.gate.Sites.Revoked(who)
		case <-c.ctx.Done():
			return
		}
	}
}

// visitorOf reads who was let in from the connection's own Permissions, those of the attempt that succeeded.
func visitorOf(ctx ssh.Context) *visitor {
	sc, ok := ctx.Value(ssh.ContextKeyConn).(*gossh.ServerConn)
	if !ok || sc.Permissions == nil {
		return nil
	}
	v, _ := sc.Permissions.ExtraData[visitorKey{}].(*visitor)
	return v
}

// splitName cuts "login+site". Logins may hold a plus, names of sites cannot.
func splitName(name string) (login, site string) {
	i := strings.LastIndexByte(name, '+')
	if i < 0 {
		return name, ""
	}
	return name[:i], strings.ToLower(name[i+1:])
}

// refusal says in a banner what a person can act on, and keeps the rest for the log. A wrong password has no banner:
// the client says it, in the person's own language.
func (g *Gate) refusal(err error) error {
	var e *site.Error
	switch {
	case !errors.As(err, &e):
		return g.banner(err, i18n.T(g.Lang, "gate.unexpected"))
	case e.Code == site.CodeWrongPassword:
		return err
	case e.Code == site.CodeDirectoryDown: // M53
		return g.banner(err, i18n.T(g.Lang, "gate.directory-down"))
	}
	return g.banner(err, i18n.T(g.Lang, "gate.says", i18n.Args{"text": sentence(g.Lang, e)}))
}

func (g *Gate) banner(err error, text string) error {
	return &gossh.BannerError{Err: err, Message: text + "\r\n"}
}

func sentence(l i18n.Lang, e *site.Error) string {
	return i18n.T(l, "error."+string(e.Code), i18n.Args(e.Args))
}
