// Package ldaptest is a small directory inside the process: for tests, and for `petitpont demo`, which has no school.
//
// It speaks LDAPS on 127.0.0.1 with a certificate of its own authority, knows people and posixGroups, and answers
// binds and searches well enough for site/ldap. It is not a directory to keep anybody's real password in.
package ldaptest

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/hashicorp/go-hclog"
	"github.com/jimlambrt/gldap"

	"petitpont/site"
	siteldap "petitpont/site/ldap"
)

// connectionTime is the longest a connection lasts: a login takes milliseconds.
const connectionTime = 10 * time.Second

// Server is a running directory.
type Server struct {
	below  string // folder that dir is made in; "" is the system's for temporary files
	dir    string // CA certificate and bind password
	addr   string
	secret string // of the service account
	gldap  *gldap.Server

	mu      sync.Mutex
	entries []entry
	bound   map[int]string // DN by connection
	open    []opened
}

// opened is a connection that may still be there.
type opened struct {
	conn net.Conn
	at   time.Time
}

// Start serves people on a free port of 127.0.0.1, until Stop.
func Start(people []Person) (*Server, error) { return StartIn("", people) }

// StartIn is Start with the server's files below a folder, which whoever kills the server can then remove.
func StartIn(dir string, people []Person) (*Server, error) {
	s := &Server{below: dir, secret: rand.Text(), bound: map[int]string{}}
	s.SetPeople(people)
	if err := s.start(); err != nil {
		_ = s.Stop()
		return nil, fmt.Errorf("test directory: %w", err)
	}
	return s, nil
}

// SetPeople replaces everybody.
func (s *Server) SetPeople(people []Person) {
	entries := []entry{
		{dn: suffix, attributes: map[string][]string{"objectclass": {"top", "domain"}}},
		{dn: peopleDN, attributes: map[string][]string{"objectclass": {"top", "organizationalUnit"}}},
	}
	for _, p := range people {
		entries = append(entries, p.entry())
	}
	entries = append(entries, groups(people)...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = entries
}

// Config is how site/ldap reaches this server. Its files live until Stop.
func (s *Server) Config() siteldap.Config {
	return siteldap.Config{
		URLs: []string{"ldaps://" + s.addr}, CAFile: s.file("ca.pem"),
		BindDN: bindDN, BindPasswordFile: s.file("password"), BaseDN: peopleDN,
		Groups: []siteldap.Rule{
			{Base: groupDN("student"), Attr: "memberUid", Role: site.Student},
			{Base: groupDN("teacher"), Attr: "memberUid", Role: site.Teacher},
			{Base: groupDN("association"), Attr: "memberUid", Role: site.Association},
			{Base: groupDN("admin"), Attr: "memberUid", Admin: true},
		},
	}
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.addr }

// Stop closes every connection and ends the server. A second Stop does nothing.
func (s *Server) Stop() error {
	var err error
	if s.gldap != nil {
		// gldap's Stop waits for connections, and a client may keep one open: close what there is until it returns.
		done := make(chan error, 1)
		go func() { done <- s.gldap.Stop() }()
		err = s.cut(done)
		s.gldap = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *Server) cut(done <-chan error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		for _, o := range s.open {
			_ = o.conn.Close()
		}
		s.open = nil
		s.mu.Unlock()
		select {
		case err := <-done:
			return err
		case <-tick.C:
		}
	}
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) start() error {
	ca, err := NewCA()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp(s.below, "petitpont-directory-"); err != nil {
		return err
	}
	// serve runs as another user than the demo that starts us, and reads both files.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(s.file("ca.pem"), ca.PEM(), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(s.file("password"), []byte(s.secret+"\n"), 0o644); err != nil {
		return err
	}
	side, err := ca.serverTLS()
	if err != nil {
		return err
	}
	side.GetConfigForClient = s.remember
	return s.listen(side)
}

// listen tries free ports: gldap opens its listener itself and does not tell which port it got.
func (s *Server) listen(side *tls.Config) error {
	var err error
	for range 10 {
		if err = s.listenOnce(side); err == nil {
			return nil
		}
	}
	return err
}

func (s *Server) listenOnce(side *tls.Config) error {
	addr, err := freePort()
	if err != nil {
		return err
	}
	g, err := gldap.NewServer(gldap.WithLogger(hclog.NewNullLogger()), gldap.WithOnClose(s.forget),
		gldap.WithReadTimeout(connectionTime), gldap.WithWriteTimeout(connectionTime))
	if err != nil {
		return err
	}
	mux, err := gldap.NewMux()
	if err != nil {
		return err
	}
	if err := errors.Join(mux.Bind(s.bind), mux.Search(s.search), g.Router(mux)); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Run(addr, gldap.WithTLSConfig(side)) }()
	if err := ready(addr, side, ended); err != nil {
		return err
	}
	s.addr, s.gldap = addr, g
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// ready waits until our own certificate answers at addr: somebody else may have been quicker to take the port.
func ready(addr string, side *tls.Config, ended <-chan error) error {
	ours := side.Certificates[0].Certificate[0]
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if answers(ctx, addr, ours) {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("listen at %s: %w", addr, err)
		case <-ctx.Done():
			return fmt.Errorf("listen at %s: %w", addr, ctx.Err())
		case <-tick.C:
		}
	}
}

func answers(ctx context.Context, addr string, cert []byte) bool {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	// Nothing is said on it; it only shows whose certificate stands there.
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // compared below
	if t.HandshakeContext(ctx) != nil {
		return false
	}
	return subtle.ConstantTimeCompare(t.ConnectionState().PeerCertificates[0].Raw, cert) == 1
}

// remember keeps the connection under a TLS handshake, for Stop. gldap shows it nowhere else.
func (s *Server) remember(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.open) > 0 && now.Sub(s.open[0].at) > 2*connectionTime {
		s.open = s.open[1:] // ended by its deadline
	}
	s.open = append(s.open, opened{hello.Conn, now})
	return nil, nil
}

func (s *Server) forget(connection int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bound, connection)
}

func (s *Server) bind(w *gldap.ResponseWriter, r *gldap.Request) {
	answer := r.NewBindResponse(gldap.WithResponseCode(gldap.ResultInvalidCredentials))
	defer func() { _ = w.Write(answer) }()
	m, err := r.GetSimpleBindMessage()
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bound, r.ConnectionID())
	if s.opens(m.UserName, string(m.Password)) {
		s.bound[r.ConnectionID()] = m.UserName
		answer.SetResultCode(gldap.ResultSuccess)
	}
}

// opens tells whether password is that of dn. s.mu is held.
func (s *Server) opens(dn, password string) bool {
	want := ""
	if strings.EqualFold(dn, bindDN) {
		want = s.secret
	}
	for _, e := range s.entries {
		if strings.EqualFold(e.dn, dn) {
			want = e.password
		}
	}
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1
}

func (s *Server) search(w *gldap.ResponseWriter, r *gldap.Request) {
	done := r.NewSearchDoneResponse(gldap.WithResponseCode(gldap.ResultInsufficientAccessRights))
	defer func() { _ = w.Write(done) }()
	m, err := r.GetSearchMessage()
	if err != nil {
		return
	}
	found, code := s.look(r.ConnectionID(), m)
	for _, e := range found {
		res := r.NewSearchResponseEntry(e.dn)
		for _, a := range m.Attributes {
			if v := e.values(a); len(v) > 0 {
				res.AddAttribute(a, v)
			}
		}
		_ = w.Write(res)
	}
	done.SetResultCode(code)
}

// look finds what m asks for; only the service account may look.
func (s *Server) look(connection int, m *gldap.SearchMessage) ([]entry, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.EqualFold(s.bound[connection], bindDN) {
		return nil, gldap.ResultInsufficientAccessRights
	}
	filter, err := ldap.CompileFilter(m.Filter)
	if err != nil {
		return nil, gldap.ResultProtocolError
	}
	var found []entry
	for _, e := range s.entries {
		in := below(e.dn, m.BaseDN) && (m.Scope != gldap.BaseObject || strings.EqualFold(e.dn, m.BaseDN))
		if !in || !e.matches(filter) {
			continue
		}
		if m.SizeLimit > 0 && int64(len(found)) == m.SizeLimit {
			return found, gldap.ResultSizeLimitExceeded
		}
		found = append(found, e)
	}
	return found, gldap.ResultSuccess
}
