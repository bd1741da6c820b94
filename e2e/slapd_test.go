package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"petitpont/site/ldap/ldaptest"
)

// slapd is a real OpenLDAP of one story, on loopback, over TLS.
type slapd struct {
	dir  string
	port int
	cmd  *exec.Cmd
}

const slapdConf = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile DIR/pid
TLSCACertificateFile DIR/ca.pem
TLSCertificateFile DIR/cert.pem
TLSCertificateKeyFile DIR/key.pem
database mdb
suffix "dc=ecole,dc=example"
rootdn "cn=admin,dc=ecole,dc=example"
rootpw secret
directory DIR/db
access to attrs=userPassword by anonymous auth by * none
access to * by * read
`

const slapdPeople = `
dn: dc=ecole,dc=example
objectClass: dcObject
objectClass: organization
o: ecole
dc: ecole

dn: uid=marie,dc=ecole,dc=example
objectClass: inetOrgPerson
uid: marie
cn: Marie Dupont
sn: Dupont
userPassword: chat-noir

dn: uid=paul,dc=ecole,dc=example
objectClass: inetOrgPerson
uid: paul
cn: Paul Martin
sn: Martin
userPassword: chat-blanc

dn: cn=students,dc=ecole,dc=example
objectClass: posixGroup
cn: students
gidNumber: 5000
memberUid: marie
`

const slapdClient = `
[ldap]
urls = ["ldaps://localhost:PORT"]
ca_file = "DIR/ca.pem"
base_dn = "dc=ecole,dc=example"
[[ldap.groups]]
base = "cn=students,dc=ecole,dc=example"
attr = "memberUid"
role = "student"
`

func slapdCmd(ts *testscript.TestScript, _ bool, args []string) {
	v := visitorOf(ts)
	if args[0] == "stop" {
		v.slapd.stop()
		return
	}
	if v.slapd == nil {
		s, err := newSlapd(ts.MkAbs("slapd"))
		ts.Check(err)
		v.slapd, v.demo.LDAP = s, filepath.Join(s.dir, "client.toml")
	}
	ts.Check(v.slapd.start())
}

// newSlapd makes its files: certificate, configuration, people.
func newSlapd(dir string) (*slapd, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	s := &slapd{dir: dir, port: ports[0]}
	if err := os.MkdirAll(filepath.Join(dir, "db"), 0o755); err != nil {
		return nil, err
	}
	ca, err := ldaptest.NewCA()
	if err != nil {
		return nil, err
	}
	cert, key, err := ca.Issue(time.Now().Add(24 * time.Hour))
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("DIR", dir, "PORT", fmt.Sprint(s.port))
	for name, text := range map[string]string{
		"ca.pem": string(ca.PEM()), "cert.pem": string(cert), "key.pem": string(key),
		"slapd.conf": fill.Replace(slapdConf), "people.ldif": slapdPeople, "client.toml": fill.Replace(slapdClient),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	out, err := exec.Command("/usr/sbin/slapadd", "-f", s.conf(), "-l", filepath.Join(dir, "people.ldif")).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("slapadd: %w\n%s", err, out)
	}
	return s, nil
}

func (s *slapd) conf() string { return filepath.Join(s.dir, "slapd.conf") }

// start returns once it accepts connections.
func (s *slapd) start() error {
	s.cmd = exec.Command("/usr/sbin/slapd", "-d", "0", "-f", s.conf(), "-h", fmt.Sprintf("ldaps://127.0.0.1:%d/", s.port))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port)); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("slapd does not listen on port %d", s.port)
}

func (s *slapd) stop() {
	if s == nil || s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}
