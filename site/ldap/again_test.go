package ldap_test

import (
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"petitpont/runtime/fake"
	"petitpont/site"
	"petitpont/site/ldap"
	"petitpont/site/ldap/ldaptest"
	"petitpont/site/sitetest"
)

func again(t *testing.T, d *ldap.Directory, people ...site.Identity) []site.Identity {
	t.Helper()
	now, err := d.Again(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func TestLookingAgainAtPeople(t *testing.T) {
	s := school(t)
	d := open(t, s.Config())
	var people []site.Identity
	for _, p := range ldaptest.Demo() {
		who, err := d.Authenticate(t.Context(), p.Login, p.Password)
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, who)
	}
	if now := again(t, d, people...); !slices.Equal(now, people) {
		t.Errorf("they are %+v, and were %+v", now, people)
	}
	t.Run("whoever would not be let in is nobody", func(t *testing.T) {
		changed := ldaptest.Demo()
		changed[0].Role = ""                                 // eleve is in no group
		changed[1].Role, changed[3].Admin = "student", false // prof becomes a student, admin is none any more
		s.SetPeople(append(changed[:2:2], changed[3]))       // asso is gone
		now := again(t, d, people...)
		if now[0] != (site.Identity{}) || now[2] != (site.Identity{}) {
			t.Errorf("%+v and %+v would be let in", now[0], now[2])
		}
		if now[1].Key != people[1].Key || now[1].Role != site.Student || now[3].Key != people[3].Key || now[3].Admin {
			t.Errorf("they are %+v and %+v", now[1], now[3])
		}
	})
	t.Run("a login that is another person's by now is nobody's", func(t *testing.T) {
		was := people[3]
		was.Key = "the uuid of who had the login before"
		if now := again(t, d, was); now[0] != (site.Identity{}) {
			t.Errorf("it is %+v", now[0])
		}
	})
	t.Run("a branch that is not there says nothing of its people", func(t *testing.T) {
		c := s.Config()
		c.BaseDN = "ou=nowhere," + c.BaseDN
		if now, err := open(t, c).Again(t.Context(), people); err == nil {
			t.Errorf("they are %+v", now)
		}
	})
	t.Run("a directory that is gone says nothing", func(t *testing.T) {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		_, err := d.Again(t.Context(), people)
		refused(t, err, site.CodeDirectoryDown)
	})
}

func TestOpenLDAPEndsSessions(t *testing.T) {
	s := startSlapd(t, soon(), "")
	c := s.config()
	c.Filter = "(&(objectClass=person)(uid={login})(!(description=disabled)))"
	heart := openHeart(t, open(t, c))
	signIn := func(login string) (site.Identity, <-chan struct{}) {
		t.Helper()
		who, err := heart.Login(t.Context(), login, password, netip.MustParseAddr("127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		return who, heart.Revoked(who)
	}
	eleve, stays := signIn("eleve")
	for login, lose := range map[string]func(){
		"asso": func() { s.remove(t, "cn=clubs,"+groups) },
		"chef": func() { s.remove(t, "cn=admins,"+groups) }, // a teacher still
		"prof": func() {
			q := goldap.NewModifyRequest(dnOf("prof"), nil)
			q.Add("description", []string{"disabled"})
			if err := s.root(t).Modify(q); err != nil {
				t.Fatal(err)
			}
		},
	} {
		_, ended := signIn(login)
		lose()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Errorf("%s is still in", login)
		}
	}
	select {
	case <-stays:
		t.Error("eleve was signed out with them")
	case <-heart.Revoked(eleve):
		t.Error("eleve was signed out with them")
	default:
	}
}

// openHeart is a Service that looks into d all the time.
func openHeart(t *testing.T, d *ldap.Directory) *site.Service {
	t.Helper()
	driver := fake.New(t.TempDir())
	t.Cleanup(func() { _ = driver.Close() })
	heart, err := site.Open(t.Context(), site.Config{
		Driver: driver, Store: sitetest.NewStore(), Directory: d, Domain: "localhost", Every: time.Hour, Again: 10 * time.Millisecond,
		Log:      slog.New(slog.NewTextHandler(io.Discard, nil)),
		ReadHost: func() (site.HostReading, error) { return site.HostReading{MemoryMax: 8 << 30}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = heart.Close(t.Context()) })
	return heart
}
