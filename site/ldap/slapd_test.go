package ldap_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"petitpont/site"
	"petitpont/site/ldap"
	"petitpont/site/ldap/ldaptest"
)

const (
	suffix   = "dc=ecole,dc=fr"
	rootDN   = "cn=root," + suffix
	rootPW   = "root-secret"
	bindDN   = "cn=petitpont," + suffix
	bindPW   = "service-secret"
	people   = "ou=people," + suffix
	groups   = "ou=groups," + suffix
	password = "correct horse"
)

// slapd is a real OpenLDAP server of Debian's slapd package, in a folder of its own. It is never the system's service.
// Where AppArmor confines /usr/sbin/slapd, its profile must let it read that folder.
type slapd struct {
	dir           string
	ca            *ldaptest.CA
	plain, secure string // addresses
	process       *os.Process
	ended         chan error
	log           bytes.Buffer
}

// startSlapd serves a small school. notAfter is the end of its certificate; more is added to slapd.conf.
func startSlapd(t *testing.T, notAfter time.Time, more string) *slapd {
	t.Helper()
	s := &slapd{dir: t.TempDir()}
	s.prepare(t, notAfter, more)
	for range 10 { // a free port may be taken by another before slapd has it
		if s.run(t) {
			s.fill(t)
			return s
		}
	}
	t.Fatalf("slapd (package slapd) does not start:\n%s", s.log.String())
	return nil
}

func (s *slapd) prepare(t *testing.T, notAfter time.Time, more string) {
	t.Helper()
	ca, err := ldaptest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	s.ca = ca
	cert, key, err := ca.Issue(notAfter)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "ca.pem", string(ca.PEM()))
	s.write(t, "cert.pem", string(cert))
	s.write(t, "key.pem", string(key))
	s.write(t, "secret", bindPW+"\n")
	if err := os.Mkdir(s.file("db"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write(t, "slapd.conf", fmt.Sprintf(`
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile %[1]s/pid
TLSCACertificateFile %[1]s/ca.pem
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
%[2]s
database mdb
suffix "%[3]s"
rootdn "%[4]s"
rootpw %[5]s
directory %[1]s/db
maxsize 67108864
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="%[6]s" read by * none
overlay memberof
`, s.dir, more, suffix, rootDN, rootPW, bindDN))
}

func (s *slapd) file(name string) string { return filepath.Join(s.dir, name) }

func (s *slapd) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(s.file(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run starts the server and tells whether it answers.
func (s *slapd) run(t *testing.T) bool {
	t.Helper()
	s.plain, s.secure = freePort(t), freePort(t)
	cmd := exec.Command("/usr/sbin/slapd", "-d", "0", "-f", s.file("slapd.conf"), "-h", "ldap://"+s.plain+" ldaps://"+s.secure)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start slapd (package slapd): %v", err)
	}
	s.process, s.ended = cmd.Process, make(chan error, 1)
	go func() { s.ended <- cmd.Wait(); close(s.ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-s.ended
	})
	for end := time.After(30 * time.Second); ; {
		if c, err := net.Dial("tcp", s.secure); err == nil {
			_ = c.Close()
			return true
		}
		select {
		case <-s.ended:
			return false
		case <-end:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// root is the administrator's connection.
func (s *slapd) root(t *testing.T) *goldap.Conn {
	t.Helper()
	skip := &tls.Config{InsecureSkipVerify: true} // it may be expired on purpose
	c, err := goldap.DialURL("ldaps://"+s.secure, goldap.DialWithTLSConfig(skip))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Bind(rootDN, rootPW); err != nil {
		t.Fatal(err)
	}
	return c
}

type attributes map[string][]string

func add(t *testing.T, c *goldap.Conn, dn string, a attributes) {
	t.Helper()
	q := goldap.NewAddRequest(dn, nil)
	for name, values := range a {
		q.Attribute(name, values)
	}
	if err := c.Add(q); err != nil {
		t.Fatalf("add %s: %v", dn, err)
	}
}

func person(login, name string) attributes {
	return attributes{
		"objectClass": {"inetOrgPerson", "posixAccount"}, "uid": {login}, "cn": {name}, "sn": {name},
		"mail": {login + "@ecole.fr"}, "userPassword": {password},
		"uidNumber": {"1"}, "gidNumber": {"1"}, "homeDirectory": {"/"},
	}
}

func dnOf(login string) string { return "uid=" + goldap.EscapeDN(login) + "," + people }

// fill makes the school: people, posixGroups, groupOfNames.
func (s *slapd) fill(t *testing.T) {
	t.Helper()
	c := s.root(t)
	add(t, c, suffix, attributes{"objectClass": {"dcObject", "organization"}, "dc": {"ecole"}, "o": {"École"}})
	for _, ou := range []string{"people", "groups"} {
		add(t, c, "ou="+ou+","+suffix, attributes{"objectClass": {"organizationalUnit"}, "ou": {ou}})
	}
	add(t, c, bindDN, attributes{"objectClass": {"organizationalRole", "simpleSecurityObject"}, "cn": {"petitpont"}, "userPassword": {bindPW}})
	for login, name := range map[string]string{
		"eleve": "Élodie Martin", "prof": "Youssef Benali", "asso": "Club Robotique", "guest": "Nobody", "chef": "Anaïs Lefèvre",
		"o'neil (x)": "Odd One",
	} {
		a := person(login, name)
		if login == "chef" {
			a["uid"] = []string{"alias", "chef"}
		}
		if login == "eleve" {
			a["employeeType"] = []string{"student"}
		}
		add(t, c, dnOf(login), a)
	}
	posix := func(name string, members ...string) {
		add(t, c, "cn="+name+","+groups, attributes{"objectClass": {"posixGroup"}, "cn": {name}, "gidNumber": {"10"}, "memberUid": members})
	}
	posix("students", "eleve", "o'neil (x)")
	posix("teachers", "prof")
	names := func(name string, members ...string) {
		add(t, c, "cn="+name+","+groups, attributes{"objectClass": {"groupOfNames"}, "cn": {name}, "member": members})
	}
	names("clubs", dnOf("asso"))
	names("staff", dnOf("prof"), dnOf("chef"))
	names("admins", dnOf("chef"))
}

// config is a school's: a service account, LDAPS, and roles of each kind.
func (s *slapd) config() ldap.Config {
	return ldap.Config{
		URLs: []string{"ldaps://" + s.secure}, CAFile: s.file("ca.pem"),
		BindDN: bindDN, BindPasswordFile: s.file("secret"), BaseDN: people,
		Groups: []ldap.Rule{
			{Base: "cn=students," + groups, Attr: "memberUid", Role: site.Student},
			{Base: groups, Filter: "(cn=club*)", Attr: "member", Role: site.Association},
			{Base: "cn=Staff, " + groups, Attr: "memberOf", Role: site.Teacher},
			{Base: "cn=admins," + groups, Attr: "memberOf", Admin: true},
		},
	}
}

func (s *slapd) remove(t *testing.T, dn string) {
	t.Helper()
	if err := s.root(t).Del(goldap.NewDelRequest(dn, nil)); err != nil {
		t.Fatal(err)
	}
}

func soon() time.Time { return time.Now().Add(time.Hour) }

// corpus is what people type who want to be somebody else.
func corpus() []string {
	return []string{
		"*", "e*", "eleve*", "*)(uid=*", "eleve)(objectClass=*", ")(uid=*", "eleve)(|(uid=*", "(", ")", "\\", "\\2a", "\\65leve",
		"eleve\x00", "\x00", "eleve\x00)(uid=prof", "eleve,ou=people", "uid=eleve," + people, "eleve+cn=x", "\"eleve\"", "<eleve>",
		"eleve;x", "#eleve", "=eleve", "eleve&", "|", "&(uid=eleve)", "!(uid=x)", "\xff\xfe", "élève", "eleve\r\n", "{login}",
		"\u0435leve", "eleve\u200b", "é", strings.Repeat("e", 255), strings.Repeat("(", 250), strings.Repeat("*", 64<<10),
		strings.Repeat("eleve", 13<<10), "\\00", "~=eleve", ">=a", ":dn:=eleve", "uid:dn:caseIgnoreMatch:=eleve",
	}
}
