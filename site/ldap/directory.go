// Package ldap is the school's directory behind site.Directory: it finds a person, tries their password by binding as
// them, and reads who they are and which role their groups give.
//
// A login is five exchanges on one connection of its own, all within Config.Timeout:
//
//	connect, TLS   the first URL that answers; never a password in the clear
//	bind           as the service account
//	search         the login, escaped; exactly one entry or none (RULE ARG)
//	bind           as that entry with the person's password; for an unknown login as nobody, for the same duration
//	bind, search   as the service account again: which groups
//
// What was typed is dropped after the search: the Identity comes from the entry alone (RULE ID).
package ldap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"petitpont/site"
)

// Directory authenticates people. It holds no connection between calls and is safe for concurrent use.
type Directory struct {
	config Config
	tls    *tls.Config
}

var (
	_ site.Directory = (*Directory)(nil)
	_ site.Registry  = (*Directory)(nil)
)

// New checks c and returns its Directory. It does not connect: a school whose directory is down can still start.
func New(c Config) (*Directory, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	roots, err := c.roots()
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	return &Directory{config: c, tls: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, nil
}

// Longer ones are nobody's, and would only be carried about.
const (
	maxLogin    = 256
	maxPassword = 1024
)

// Authenticate returns the person whose login and password these are. See site.Directory for the errors.
func (d *Directory) Authenticate(ctx context.Context, login, password string) (site.Identity, error) {
	// An empty password would be an anonymous bind, which succeeds for anybody's name.
	if login == "" || password == "" || len(login) > maxLogin || len(password) > maxPassword || strings.ContainsRune(login, 0) {
		return site.Identity{}, wrong(errors.New("no such login or password can exist"))
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	s, err := d.open(ctx)
	if err != nil {
		return site.Identity{}, err
	}
	defer s.close()
	return s.authenticate(login, password)
}

// Again looks people up on one connection, within Config.Timeout for all of them. See site.Registry.
func (d *Directory) Again(ctx context.Context, people []site.Identity) ([]site.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	s, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	// A branch that is not there, or may not be seen, would be a school without people.
	if found, err := s.search(d.config.BaseDN, ldap.ScopeBaseObject, "(objectClass=*)", 1, "1.1"); err != nil || len(found.Entries) == 0 {
		return nil, s.explain("look up "+d.config.BaseDN, cmp.Or(err, errUnseen))
	}
	now := make([]site.Identity, len(people))
	for i, who := range people {
		if now[i], err = s.again(who); err != nil {
			return nil, err
		}
	}
	return now, nil
}

var errUnseen = errors.New("the branch is not to be seen")

// again is who a person is now; nobody when they would not be let in.
func (s *session) again(was site.Identity) (site.Identity, error) {
	entry, err := s.find(was.Login)
	if err != nil || entry == nil {
		return site.Identity{}, err
	}
	who, err := s.identify(entry)
	if err != nil || who.Key != was.Key { // the login is another person's by now
		return site.Identity{}, nil //nolint:nilerr // an entry that leaves doubt lets nobody in
	}
	now, err := s.grant(who, entry)
	if e, ok := errors.AsType[*site.Error](err); ok && e.Code == site.CodeNoRole {
		return site.Identity{}, nil
	}
	return now, err
}

// Ping tells whether the directory answers, takes the service account and has the people's branch. Its errors are
// those of Authenticate.
func (d *Directory) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	s, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	_, err = s.search(d.config.BaseDN, ldap.ScopeBaseObject, "(objectClass=*)", 1, "1.1")
	return s.explain("look up "+d.config.BaseDN, err)
}

func (s *session) authenticate(login, password string) (site.Identity, error) {
	entry, err := s.find(login)
	if err != nil {
		return site.Identity{}, err
	}
	if entry == nil {
		// The same exchange as for a known login, so that the time taken does not tell which logins exist.
		_ = s.conn.Bind("uid=nobody,ou=petitpont-unknown,"+s.config.BaseDN, password)
		return site.Identity{}, wrong(errors.New("unknown login, or more than one entry"))
	}
	if err := s.conn.Bind(entry.DN, password); err != nil {
		return site.Identity{}, s.explainPassword(err)
	}
	who, err := s.identify(entry)
	if err != nil {
		return site.Identity{}, &site.Error{Code: site.CodeDirectoryDeny, Err: err}
	}
	if err := s.bindService(); err != nil {
		return site.Identity{}, err
	}
	return s.grant(who, entry)
}

// find returns the one entry of login, or nil if there is none or more than one.
func (s *session) find(login string) (*ldap.Entry, error) {
	filter := strings.ReplaceAll(s.config.Filter, "{login}", ldap.EscapeFilter(login))
	a := s.config.Attributes
	wanted := []string{a.Login, a.Name, a.Mail, a.Key}
	if s.config.needsMemberOf() {
		wanted = append(wanted, "memberOf")
	}
	res, err := s.search(s.config.BaseDN, ldap.ScopeWholeSubtree, filter, 2, wanted...)
	if tooMany(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain("search "+s.config.BaseDN, err)
	}
	if len(res.Entries) != 1 {
		return nil, nil
	}
	return res.Entries[0], nil
}

// tooMany tells that there is more than was asked for, whether the directory or the library stopped at it.
func tooMany(err error) bool {
	return ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) || errors.Is(err, ldap.ErrSizeLimitExceeded)
}
