package ldap

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"petitpont/site"
)

// Config says where the directory is and how it is laid out.
type Config struct {
	URLs          []string // ldaps://host[:636] or ldap://host[:389], tried in this order
	StartTLS      bool     // encrypt ldap:// before anything is said; a server that will not is refused
	CAFile        string   // PEM; empty: the host's own certificates
	InsecurePlain bool     // allow ldap:// without StartTLS, to a loopback address only

	BindDN           string // service account; empty: anonymous
	BindPasswordFile string // read at each connection, so that the secret can be changed without a restart

	BaseDN     string // the branch that holds the people
	Filter     string // who may be found, with {login}; default DefaultFilter
	Attributes Attributes
	Groups     []Rule        // first match gives the role
	Timeout    time.Duration // for one Authenticate or Ping, over all URLs; default 3 s
}

// DefaultFilter finds a person by uid.
const DefaultFilter = "(&(objectClass=person)(uid={login}))"

const defaultTimeout = 3 * time.Second

// Attributes are the names of what is read from a person's entry. An empty one has the default in brackets.
type Attributes struct {
	Login string // canonical login [uid]
	Name  string // for display [cn]
	Mail  string // [mail]
	Key   string // stable for ever, never reused [entryUUID]; an entry without it is known by its DN
}

// Rule gives a role, or the admin's right, to the members of groups.
//
//	{Base: "cn=students,ou=groups,…", Attr: "memberUid"}      posixGroup, by login
//	{Base: "ou=groups,…", Filter: "(cn=staff*)", Attr: "member"}  groupOfNames (or uniqueMember), by DN
//	{Base: "cn=students,ou=groups,…", Attr: "memberOf"}       the person's own entry names the group
//	{Filter: "(eduPersonAffiliation=student)"}                the person's own entry matches
type Rule struct {
	Base   string // DN of a group, or of a branch of groups
	Filter string // which groups below Base; empty: all. Without Base and Attr: what the person's entry must match
	Attr   string // memberUid, member, uniqueMember, memberOf, or empty

	Role  site.Role // empty: this rule gives no role
	Admin bool
}

// withDefaults fills in what was left empty.
func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&c.Filter, DefaultFilter},
		{&c.Attributes.Login, "uid"},
		{&c.Attributes.Name, "cn"},
		{&c.Attributes.Mail, "mail"},
		{&c.Attributes.Key, "entryUUID"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return c
}

func (c Config) check() error {
	var errs []error
	if len(c.URLs) == 0 {
		errs = append(errs, errors.New("no url"))
	}
	for _, u := range c.URLs {
		errs = append(errs, c.checkURL(u))
	}
	if _, err := ldap.ParseDN(c.BaseDN); err != nil {
		errs = append(errs, fmt.Errorf("base dn %q: %w", c.BaseDN, err))
	}
	if c.BaseDN == "" {
		errs = append(errs, errors.New("no base dn"))
	}
	if !strings.Contains(c.Filter, "{login}") {
		errs = append(errs, fmt.Errorf("filter %q does not hold {login}", c.Filter))
	}
	if _, err := ldap.CompileFilter(strings.ReplaceAll(c.Filter, "{login}", "x")); err != nil {
		errs = append(errs, fmt.Errorf("filter %q: %w", c.Filter, err))
	}
	for i, r := range c.Groups {
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("group rule %d: %w", i+1, err))
		}
	}
	if c.BindDN != "" {
		_, err := c.bindPassword()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkURL refuses what would send passwords in the clear (RULE SECRET).
func (c Config) checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		return fmt.Errorf("url %q: want ldaps://host or ldap://host, with a port if need be", raw)
	}
	switch {
	case u.Scheme == "ldaps", u.Scheme == "ldap" && c.StartTLS:
		return nil
	case u.Scheme != "ldap":
		return fmt.Errorf("url %q: unknown scheme", raw)
	case !c.InsecurePlain:
		return fmt.Errorf("url %q: passwords would cross the network in the clear; use ldaps or StartTLS", raw)
	case !loopback(u.Hostname()):
		return fmt.Errorf("url %q: without encryption only a loopback address will do", raw)
	}
	return nil
}

// loopback takes addresses only: a name may mean another machine tomorrow.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func (r Rule) check() error {
	switch r.Role {
	case site.Student, site.Teacher, site.Association:
	case "":
		if !r.Admin {
			return errors.New("it gives neither a role nor the admin's right")
		}
	default:
		return fmt.Errorf("unknown role %q", r.Role)
	}
	if r.Filter != "" {
		if _, err := ldap.CompileFilter(r.Filter); err != nil {
			return fmt.Errorf("filter %q: %w", r.Filter, err)
		}
	}
	if _, err := ldap.ParseDN(r.Base); err != nil {
		return fmt.Errorf("base %q: %w", r.Base, err)
	}
	return r.checkAttr()
}

func (r Rule) checkAttr() error {
	switch {
	case r.Attr == "" && (r.Base != "" || r.Filter == ""):
		return errors.New("without attr it needs a filter, and no base")
	case r.Attr == "":
		return nil
	case r.Base == "":
		return errors.New("no base")
	case strings.EqualFold(r.Attr, "memberOf") && r.Filter != "":
		return errors.New("memberOf takes no filter")
	case r.binding() == byNothing:
		return fmt.Errorf("attr %q: want memberUid, member, uniqueMember or memberOf", r.Attr)
	}
	return nil
}

// bindPassword reads the service account's secret. An empty one would be an anonymous bind in disguise.
func (c Config) bindPassword() (string, error) {
	b, err := os.ReadFile(c.BindPasswordFile)
	if err != nil {
		return "", fmt.Errorf("bind password: %w", err)
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" {
		return "", fmt.Errorf("bind password: %s is empty", c.BindPasswordFile)
	}
	return p, nil
}

// roots is the set of certificates to believe; nil is the host's own.
func (c Config) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca file: %s holds no certificate", c.CAFile)
	}
	return pool, nil
}
