package ldap_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"petitpont/site"
	"petitpont/site/ldap"
	"petitpont/site/ldap/ldaptest"
)

func TestOpenLDAP(t *testing.T) {
	s := startSlapd(t, soon(), "")
	d := open(t, s.config())
	if err := d.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("people have the role of their groups, of any kind", func(t *testing.T) {
		for _, want := range []site.Identity{
			{Login: "eleve", Name: "Élodie Martin", Mail: "eleve@ecole.fr", Role: site.Student},
			{Login: "asso", Name: "Club Robotique", Mail: "asso@ecole.fr", Role: site.Association},
			{Login: "prof", Name: "Youssef Benali", Mail: "prof@ecole.fr", Role: site.Teacher},
			{Login: "chef", Name: "Anaïs Lefèvre", Mail: "chef@ecole.fr", Role: site.Teacher, Admin: true},
		} {
			who, err := d.Authenticate(t.Context(), want.Login, password)
			if err != nil {
				t.Fatal(err)
			}
			if len(who.Key) != 36 {
				t.Errorf("key %q is no entryUUID", who.Key)
			}
			if who.Key = ""; who != want {
				t.Errorf("got %+v, want %+v", who, want)
			}
		}
	})
	t.Run("however the login is written it is the same person", func(t *testing.T) {
		want, err := d.Authenticate(t.Context(), "eleve", password)
		if err != nil {
			t.Fatal(err)
		}
		for _, typed := range []string{"ELEVE", "Eleve", "eLeVe", " eleve "} {
			if who, err := d.Authenticate(t.Context(), typed, password); err != nil || who != want {
				t.Errorf("%q is %+v, %v", typed, who, err)
			}
		}
	})
	t.Run("another login of the same entry is the entry's own", func(t *testing.T) {
		if who, err := d.Authenticate(t.Context(), "alias", password); err != nil || who.Login != "chef" {
			t.Errorf("got %+v, %v", who, err)
		}
	})
	t.Run("wrong passwords are refused", func(t *testing.T) {
		for _, p := range []string{
			"", "wrong", " " + password, password + " ", strings.ToUpper(password), password + "\x00",
			strings.Repeat("x", 64<<10), bindPW, "{CLEARTEXT}" + password,
		} {
			_, err := d.Authenticate(t.Context(), "eleve", p)
			refused(t, err, site.CodeWrongPassword)
		}
	})
	t.Run("unknown logins are refused in the same words", func(t *testing.T) {
		_, unknown := d.Authenticate(t.Context(), "ghost", password)
		_, known := d.Authenticate(t.Context(), "eleve", "wrong")
		if a, b := refused(t, unknown, site.CodeWrongPassword), refused(t, known, site.CodeWrongPassword); len(a.Args)+len(b.Args) != 0 {
			t.Errorf("args %v and %v", a.Args, b.Args)
		}
	})
	t.Run("nothing typed is more than a login", func(t *testing.T) { // S49
		for _, typed := range corpus() {
			for _, p := range []string{password, "", "*"} {
				if who, err := d.Authenticate(t.Context(), typed, p); err == nil {
					t.Errorf("%.40q is %+v", typed, who)
				} else {
					refused(t, err, site.CodeWrongPassword)
				}
			}
		}
	})
	t.Run("a group's member with a filter's own signs is a member", func(t *testing.T) {
		_, err := d.Authenticate(t.Context(), "o'neil (x)", password)
		refused(t, err, site.CodeDirectoryDeny) // found and let in, but no gate takes a login with a space
	})
	t.Run("nobody's group is no role", func(t *testing.T) {
		_, err := d.Authenticate(t.Context(), "guest", password)
		if got := refused(t, err, site.CodeNoRole).Args["login"]; got != "guest" {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("an attribute of the entry gives a role", func(t *testing.T) {
		c := s.config()
		c.Groups = []ldap.Rule{{Filter: "(employeeType=student)", Role: site.Student}}
		if who, err := open(t, c).Authenticate(t.Context(), "eleve", password); err != nil || who.Role != site.Student {
			t.Errorf("got %+v, %v", who, err)
		}
		_, err := open(t, c).Authenticate(t.Context(), "prof", password)
		refused(t, err, site.CodeNoRole)
	})
	t.Run("two entries for one login are none", func(t *testing.T) {
		c := s.config()
		c.Filter = "(|(uid={login})(uid=prof))"
		_, err := open(t, c).Authenticate(t.Context(), "eleve", password)
		refused(t, err, site.CodeWrongPassword)
	})
	t.Run("without entryUUID the DN is the key", func(t *testing.T) {
		c := s.config()
		c.Attributes.Key = "employeeNumber"
		if who, err := open(t, c).Authenticate(t.Context(), "eleve", password); err != nil || who.Key != dnOf("eleve") {
			t.Errorf("got %+v, %v", who, err)
		}
	})
	t.Run("a bind account that is refused is the administrator's affair", func(t *testing.T) {
		c := s.config()
		s.write(t, "bad-secret", "not it")
		c.BindPasswordFile = s.file("bad-secret")
		_, err := open(t, c).Authenticate(t.Context(), "eleve", password)
		refused(t, err, site.CodeDirectoryDeny)
		refused(t, open(t, c).Ping(t.Context()), site.CodeDirectoryDeny)
	})
	t.Run("an anonymous search that may see nothing finds nobody", func(t *testing.T) {
		c := s.config()
		c.BindDN = ""
		_, err := open(t, c).Authenticate(t.Context(), "eleve", password)
		refused(t, err, site.CodeDirectoryDeny)
	})
	t.Run("a role follows the groups, and a person who is removed is unknown", func(t *testing.T) {
		s.remove(t, "cn=clubs,"+groups)
		_, err := d.Authenticate(t.Context(), "asso", password)
		refused(t, err, site.CodeNoRole)
		s.remove(t, dnOf("asso"))
		_, err = d.Authenticate(t.Context(), "asso", password)
		refused(t, err, site.CodeWrongPassword)
	})
}

func TestOpenLDAPEncryption(t *testing.T) {
	s := startSlapd(t, soon(), "security simple_bind=128") // a password in the clear is refused by the server too
	startTLS := s.config()
	startTLS.URLs, startTLS.StartTLS = []string{"ldap://" + s.plain}, true
	t.Run("StartTLS", func(t *testing.T) {
		if _, err := open(t, startTLS).Authenticate(t.Context(), "eleve", password); err != nil {
			t.Error(err)
		}
	})
	t.Run("StartTLS that is taken away fails closed", func(t *testing.T) {
		c, heard := startTLS, new(recorder)
		c.URLs = []string{"ldap://" + stripping(t, s.plain, heard)}
		_, err := open(t, c).Authenticate(t.Context(), "eleve", password)
		refused(t, err, site.CodeDirectoryDeny)
		if text := heard.String(); !strings.Contains(text, startTLSName) || strings.Contains(text, password) || strings.Contains(text, bindPW) {
			t.Errorf("it said %q", text)
		}
	})
	for name, spoil := range map[string]func(*testing.T, *ldap.Config){
		"the certificate of another authority": func(t *testing.T, c *ldap.Config) {
			other, err := ldaptest.NewCA()
			if err != nil {
				t.Fatal(err)
			}
			s.write(t, "other.pem", string(other.PEM()))
			c.CAFile = s.file("other.pem")
		},
		"no authority of ours":            func(_ *testing.T, c *ldap.Config) { c.CAFile = "" },
		"the certificate of another host": func(t *testing.T, c *ldap.Config) { c.URLs = []string{forward(t, "127.0.0.2:0", c.URLs[0])} },
	} {
		for how, c := range map[string]ldap.Config{"LDAPS": s.config(), "StartTLS": startTLS} {
			t.Run(name+", "+how, func(t *testing.T) {
				spoil(t, &c)
				_, err := open(t, c).Authenticate(t.Context(), "eleve", password)
				refused(t, err, site.CodeDirectoryDeny)
			})
		}
	}
}

func TestOpenLDAPWithAnExpiredCertificate(t *testing.T) {
	s := startSlapd(t, time.Now().Add(-time.Hour), "")
	for _, startTLS := range []bool{false, true} {
		c := s.config()
		if startTLS {
			c.URLs, c.StartTLS = []string{"ldap://" + s.plain}, true
		}
		_, err := open(t, c).Authenticate(t.Context(), "eleve", password)
		refused(t, err, site.CodeDirectoryDeny)
	}
}

func TestOpenLDAPThatStandsStill(t *testing.T) {
	s := startSlapd(t, soon(), "")
	c := s.config()
	c.Timeout = 300 * time.Millisecond
	d := open(t, c)
	answers := func() bool { // a busy machine may need longer than Timeout
		_, err := d.Authenticate(t.Context(), "eleve", password)
		return err == nil
	}
	until(t, "it answers", answers)
	before := goruntime.NumGoroutine()
	if err := s.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "each of its threads stands still", s.stopped)
	const budget = time.Minute // far more than Timeout, far less than a TCP connection takes to give up
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), budget)
		_, err := d.Authenticate(ctx, "eleve", password)
		refused(t, err, site.CodeDirectoryDown)
		refused(t, d.Ping(ctx), site.CodeDirectoryDown)
		if ctx.Err() != nil {
			t.Error("it waited for the caller's deadline instead of its own")
		}
		cancel()
	}
	until(t, "no goroutine is left", func() bool { return goruntime.NumGoroutine() <= before })
	if err := s.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, "it is back", answers)
}

// stopped tells whether no thread of the server runs: a signal to stop reaches one after the other.
func (s *slapd) stopped() bool {
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.process.Pid))
	for _, file := range all {
		text, _ := os.ReadFile(file)
		if _, state, _ := strings.Cut(string(text), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return len(all) > 0
}

func TestOpenLDAPThatIsGone(t *testing.T) {
	s := startSlapd(t, soon(), "")
	d := open(t, s.config())
	_ = s.process.Kill()
	<-s.ended
	_, err := d.Authenticate(t.Context(), "eleve", password)
	refused(t, err, site.CodeDirectoryDown)
	refused(t, d.Ping(t.Context()), site.CodeDirectoryDown)
}

// until asks again until the fact is there.
func until(t *testing.T, fact string, seen func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	for !seen() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-end:
			t.Fatalf("waited for: %s", fact)
		}
	}
}

const startTLSName = "1.3.6.1.4.1.1466.20037"

// recorder keeps what is written to it.
type recorder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// stripping is somebody on the way who answers StartTLS with "I cannot" and passes the rest on, in the hope that the
// client goes on in the clear. What the client says is written to heard.
func stripping(t *testing.T, server string, heard io.Writer) (addr string) {
	t.Helper()
	return listen(t, "127.0.0.1:0", func(client net.Conn) {
		up, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer func() { _ = up.Close() }()
		go func() { _, _ = io.Copy(client, up) }()
		b := make([]byte, 4096)
		for {
			n, err := client.Read(b)
			if err != nil {
				return
			}
			_, _ = heard.Write(b[:n])
			if !strings.Contains(string(b[:n]), startTLSName) {
				_, _ = up.Write(b[:n])
				continue
			}
			// An ExtendedResponse with protocolError to the same message id, as from a server without the extension.
			_, _ = client.Write([]byte{0x30, 0x0c, 0x02, 0x01, b[4], 0x78, 0x07, 0x0a, 0x01, goldap.LDAPResultProtocolError, 0x04, 0x00, 0x04, 0x00})
		}
	})
}

// forward passes connections on to the server of a URL, under another address, and returns the URL of that.
func forward(t *testing.T, at, url string) string {
	t.Helper()
	scheme, addr, _ := strings.Cut(url, "://")
	_, port, _ := net.SplitHostPort(addr)
	front := listen(t, at, func(client net.Conn) {
		up, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return
		}
		defer func() { _ = up.Close() }()
		go func() { _, _ = io.Copy(client, up) }()
		_, _ = io.Copy(up, client)
	})
	return fmt.Sprintf("%s://%s", scheme, front)
}

func listen(t *testing.T, at string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestOpenLDAPSeesTheSameForUnknownAndWrong(t *testing.T) {
	s := startSlapd(t, soon(), "")
	exchanges := func(login string) int {
		heard := new(recorder)
		c := s.config()
		c.URLs, c.InsecurePlain = []string{"ldap://" + stripping(t, s.plain, heard)}, true
		_, err := open(t, c).Authenticate(t.Context(), login, "not the password")
		refused(t, err, site.CodeWrongPassword)
		return strings.Count(heard.String(), "not the password")
	}
	if known, unknown := exchanges("eleve"), exchanges("ghost"); known != 1 || unknown != 1 {
		t.Errorf("%d binds for a known login, %d for an unknown one, want 1 and 1", known, unknown)
	}
}

func TestOpenLDAPThatFallsSilentOnTheWay(t *testing.T) {
	s := startSlapd(t, soon(), "")
	before := goruntime.NumGoroutine()
	for passed, stage := range []string{"bind", "search", "bind as the person", "bind again", "groups"} {
		c := s.config()
		c.URLs, c.InsecurePlain, c.Timeout = []string{"ldap://" + stalling(t, s.plain, passed)}, true, 100*time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := open(t, c).Authenticate(ctx, "eleve", password)
		refused(t, err, site.CodeDirectoryDown)
		if ctx.Err() != nil {
			t.Errorf("%s: it waited for the caller's deadline instead of its own", stage)
		}
		cancel()
	}
	const listeners = 5
	until(t, "no goroutine is left", func() bool { return goruntime.NumGoroutine() <= before+listeners })
}

// stalling passes so many messages of the client on, and then takes all and answers nothing.
func stalling(t *testing.T, server string, messages int) (addr string) {
	t.Helper()
	return listen(t, "127.0.0.1:0", func(client net.Conn) {
		up, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer func() { _ = up.Close() }()
		go func() { _, _ = io.Copy(client, up) }()
		b := make([]byte, 4096)
		for n := 0; ; n++ {
			got, err := client.Read(b)
			if err != nil {
				return
			}
			if n < messages {
				_, _ = up.Write(b[:got])
			}
		}
	})
}
