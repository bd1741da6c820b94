package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/go-ldap/ldap/v3"

	"petitpont/site"
)

// maxAnswer is how many bytes of the directory one call reads: an entry is a few hundred, and a broken or hostile
// directory must not fill our memory.
const maxAnswer = 1 << 20

// session is one connection, bound as the service account. It ends with the ctx it was opened with.
type session struct {
	config *Config
	conn   *ldap.Conn
	stop   func() bool
}

// open connects to the first URL that answers. Each gets an equal part of the time that is left, so that one that
// hangs leaves enough for the next.
func (d *Directory) open(ctx context.Context) (*session, error) {
	var worst error
	for i, raw := range d.config.URLs {
		s, err := d.openURL(ctx, raw, len(d.config.URLs)-i)
		if err == nil {
			return s, nil
		}
		// One that refuses us needs the administrator; that says more than another one being away.
		if e, ok := errors.AsType[*site.Error](worst); !ok || e.Code != site.CodeDirectoryDeny {
			worst = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, worst
}

func (d *Directory) openURL(ctx context.Context, raw string, left int) (*session, error) {
	end, _ := ctx.Deadline()
	try, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
	defer cancel()
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	c, err := d.dial(try, u)
	if err != nil {
		return nil, explain("connect to "+u.Host, err)
	}
	s := &session{config: &d.config, conn: ldap.NewConn(c, u.Scheme == "ldaps")}
	s.conn.SetTimeout(d.config.Timeout) // a second belt: the deadline below ends every exchange
	s.conn.Start()
	tryEnd, _ := try.Deadline()
	_ = c.SetDeadline(tryEnd)
	s.stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	if err := s.greet(u, d.tls); err != nil {
		s.close()
		return nil, err
	}
	_ = c.SetDeadline(end)
	if ctx.Err() != nil { // looked at after the deadline was moved, so that its end cannot slip in between
		_ = c.SetDeadline(time.Unix(1, 0))
	}
	return s, nil
}

// dial connects, and for ldaps encrypts.
func (d *Directory) dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": ldap.DefaultLdapPort, "ldaps": ldap.DefaultLdapsPort}[u.Scheme]
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	c = &limited{Conn: c, left: maxAnswer}
	if u.Scheme != "ldaps" {
		return c, nil
	}
	t := tls.Client(c, d.tlsFor(u))
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return t, nil
}

// tlsFor is the TLS side for a URL: the certificate must be of the host that was configured.
func (d *Directory) tlsFor(u *url.URL) *tls.Config {
	c := d.tls.Clone()
	c.ServerName = u.Hostname()
	return c
}

// greet encrypts where dial has not, and binds. Without encryption nothing more is said (RULE SECRET).
func (s *session) greet(u *url.URL, base *tls.Config) error {
	if u.Scheme == "ldap" && s.config.StartTLS {
		c := base.Clone()
		c.ServerName = u.Hostname()
		if err := s.conn.StartTLS(c); err != nil {
			return explain("start tls with "+u.Host, err)
		}
		if _, ok := s.conn.TLSConnectionState(); !ok {
			return &site.Error{Code: site.CodeDirectoryDeny, Err: errors.New("start tls did not encrypt")}
		}
	}
	return s.bindService()
}

// bindService makes the connection the service account's, or nobody's.
func (s *session) bindService() error {
	if s.config.BindDN == "" {
		_, err := s.conn.SimpleBind(&ldap.SimpleBindRequest{AllowEmptyPassword: true})
		return s.explain("anonymous bind", err)
	}
	password, err := s.config.bindPassword()
	if err != nil {
		return &site.Error{Code: site.CodeDirectoryDeny, Err: err}
	}
	return s.explain("bind as "+s.config.BindDN, s.conn.Bind(s.config.BindDN, password))
}

// search never follows aliases nor referrals: they lead out of the directory that was configured.
func (s *session) search(base string, scope int, filter string, most int, attributes ...string) (*ldap.SearchResult, error) {
	limit := int(s.config.Timeout.Seconds()) + 1
	q := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, most, limit, false, filter, attributes, nil)
	q.EnforceSizeLimit = true // also against a directory that does not
	return s.conn.Search(q)
}

func (s *session) close() {
	s.stop()
	_ = s.conn.Close()
}

// limited is a connection that gives at most so many bytes. One reader at a time.
type limited struct {
	net.Conn
	left int
}

var errTooMuch = fmt.Errorf("the directory answered more than %d bytes", maxAnswer)

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooMuch
	}
	n, err := l.Conn.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}
