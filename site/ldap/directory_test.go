package ldap_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"petitpont/site"
	"petitpont/site/ldap"
	"petitpont/site/ldap/ldaptest"
)

// refused wants a site.Error of that code.
func refused(t *testing.T, err error, want site.Code) *site.Error {
	t.Helper()
	e, ok := errors.AsType[*site.Error](err)
	if !ok || e.Code != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	return e
}

func open(t *testing.T, c ldap.Config) *ldap.Directory {
	t.Helper()
	d, err := ldap.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func school(t *testing.T) *ldaptest.Server {
	t.Helper()
	s, err := ldaptest.Start(ldaptest.Demo())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func TestDemoAccounts(t *testing.T) {
	d := open(t, school(t).Config())
	if err := d.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range ldaptest.Demo() {
		who, err := d.Authenticate(t.Context(), p.Login, p.Password)
		if err != nil {
			t.Fatal(err)
		}
		if who.Login != p.Login || who.Name != p.Name || who.Mail != p.Mail || who.Role != p.Role || who.Admin != p.Admin ||
			len(who.Key) != 36 || who.Epoch != 0 {
			t.Errorf("%s became %+v", p.Login, who)
		}
	}
}

func TestTwoDemosKnowTheSamePeople(t *testing.T) {
	var keys [2]string
	for i := range keys {
		who, err := open(t, school(t).Config()).Authenticate(t.Context(), "eleve", ldaptest.DemoPassword)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = who.Key
	}
	if keys[0] != keys[1] {
		t.Errorf("%s became %s", keys[0], keys[1])
	}
}

func TestPeopleWithDefects(t *testing.T) {
	s := school(t)
	d := open(t, s.Config())
	s.SetPeople([]ldaptest.Person{
		{Login: "guest", Password: "p"},
		{Login: "twin", Password: "p", Role: site.Student},
		{Login: "TWIN", Password: "p", Role: site.Student},
		{Login: "a+b", Password: "p", Role: site.Student},
		{Login: "odd", Password: "p", Name: "Odd\x1b[31m\nName\u202e \xff", Role: site.Student},
		{Login: "none", Role: site.Student},
	})
	e := func(login string) error { _, err := d.Authenticate(t.Context(), login, "p"); return err }
	if got := refused(t, e("guest"), site.CodeNoRole).Args["login"]; got != "guest" {
		t.Errorf("no role for %q", got)
	}
	refused(t, e("twin"), site.CodeWrongPassword)
	refused(t, e("a+b"), site.CodeDirectoryDeny)
	refused(t, e("none"), site.CodeWrongPassword)
	who, err := d.Authenticate(t.Context(), "odd", "p")
	if err != nil || who.Name != "Odd[31mName \uFFFD" {
		t.Errorf("%q, %v", who.Name, err)
	}
}

func TestAnswersWithoutEnd(t *testing.T) {
	s := school(t)
	s.SetPeople([]ldaptest.Person{{Login: "eleve", Password: "p", Name: strings.Repeat("x", 3<<20), Role: site.Student}})
	c := s.Config()
	c.Timeout = time.Minute // what cuts it off must be the size
	_, err := open(t, c).Authenticate(t.Context(), "eleve", "p")
	if refused(t, err, site.CodeDirectoryDown); !strings.Contains(err.Error(), "answered more than") {
		t.Errorf("it was cut off for another reason: %v", err)
	}
}

func TestFailOver(t *testing.T) {
	s := school(t)
	c := s.Config()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, by the kernel, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	c.StartTLS = true // for the ldap:// one
	c.URLs = append([]string{"ldaps://127.0.0.1:1", "ldaps://" + silent.Addr().String(), "ldap://" + silent.Addr().String()}, c.URLs...)
	if _, err := open(t, c).Authenticate(t.Context(), "eleve", ldaptest.DemoPassword); err != nil {
		t.Error(err)
	}
	c.URLs = c.URLs[:3]
	c.Timeout = 100 * time.Millisecond
	_, err = open(t, c).Authenticate(t.Context(), "eleve", ldaptest.DemoPassword)
	refused(t, err, site.CodeDirectoryDown)
}

func TestACallerWhoLeavesIsNotKept(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	c := school(t).Config()
	c.URLs, c.Timeout = []string{"ldaps://" + silent.Addr().String()}, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = open(t, c).Authenticate(ctx, "eleve", "x")
	refused(t, err, site.CodeDirectoryDown)
}

func TestStopDoesNotWaitForClients(t *testing.T) {
	s := school(t)
	var conns []net.Conn
	for range 3 {
		c, err := tls.Dial("tcp", s.Addr(), &tls.Config{InsecureSkipVerify: true}) // says nothing
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second): // a connection's own deadline comes later
		t.Error("it waits")
	}
	for _, c := range conns {
		_ = c.Close()
	}
}

func TestNewRefuses(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rule := func(r ldap.Rule) func(*ldap.Config) {
		return func(c *ldap.Config) { c.Groups = []ldap.Rule{r} }
	}
	for name, spoil := range map[string]func(*ldap.Config){
		"no url":                           func(c *ldap.Config) { c.URLs = nil },
		"passwords in the clear":           func(c *ldap.Config) { c.URLs = []string{"ldap://127.0.0.1"} },
		"in the clear, and far away":       func(c *ldap.Config) { c.URLs, c.InsecurePlain = []string{"ldap://192.0.2.1"}, true },
		"in the clear, by a name":          func(c *ldap.Config) { c.URLs, c.InsecurePlain = []string{"ldap://localhost"}, true },
		"another scheme":                   func(c *ldap.Config) { c.URLs = []string{"http://ldap.ecole.example"} },
		"a url with a path":                func(c *ldap.Config) { c.URLs = []string{"ldaps://ldap.ecole.example/dc=ecole"} },
		"no base":                          func(c *ldap.Config) { c.BaseDN = "" },
		"a base that is no dn":             func(c *ldap.Config) { c.BaseDN = "people" },
		"a filter without the login":       func(c *ldap.Config) { c.Filter = "(uid=*)" },
		"a filter that does not parse":     func(c *ldap.Config) { c.Filter = "(uid={login}" },
		"no file with the bind password":   func(c *ldap.Config) { c.BindPasswordFile = secret + "x" },
		"an empty bind password":           func(c *ldap.Config) { c.BindPasswordFile = empty },
		"no ca file":                       func(c *ldap.Config) { c.CAFile = secret + "x" },
		"a ca file without a certificate":  func(c *ldap.Config) { c.CAFile = secret },
		"a rule that gives nothing":        rule(ldap.Rule{Base: "dc=x", Attr: "member"}),
		"a rule with an unknown role":      rule(ldap.Rule{Base: "dc=x", Attr: "member", Role: "king"}),
		"a rule without a base":            rule(ldap.Rule{Attr: "member", Role: site.Student}),
		"a rule for everybody":             rule(ldap.Rule{Role: site.Student}),
		"a rule with an unknown attribute": rule(ldap.Rule{Base: "dc=x", Attr: "cn", Role: site.Student}),
		"a rule whose filter is broken":    rule(ldap.Rule{Base: "dc=x", Filter: "(", Attr: "member", Role: site.Student}),
	} {
		t.Run(name, func(t *testing.T) {
			c := ldap.Config{
				URLs: []string{"ldaps://ldap.ecole.example"}, BaseDN: "dc=ecole,dc=example",
				BindDN: "cn=petitpont,dc=ecole,dc=example", BindPasswordFile: secret,
			}
			if _, err := ldap.New(c); err != nil {
				t.Fatalf("the good one: %v", err)
			}
			spoil(&c)
			if _, err := ldap.New(c); err == nil {
				t.Error("it was taken")
			}
		})
	}
}
