package site_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"petitpont/site"
)

var (
	home  = netip.MustParseAddr("192.0.2.7")
	other = netip.MustParseAddr("192.0.2.8")
)

// tries logs in with a wrong password, n times.
func (w *world) tries(n int, login string, from netip.Addr) {
	w.t.Helper()
	for range n {
		_, err := w.v.Login(w.ctx(), login, "wrong", from)
		w.code(err, site.CodeWrongPassword)
	}
}

func TestLogin(t *testing.T) {
	bubble(t, "the identity is the directory's, not what was typed", func(t *testing.T, w *world) {
		who, err := w.v.Login(w.ctx(), " ELEVE ", "eleve", home)
		w.ok(err)
		if who.Login != "eleve" || who.Key != "uuid-eleve" || who.Role != site.Student || who.Admin {
			t.Errorf("%+v", who)
		}
	})
	bubble(t, "an empty or impossible password is refused before the directory is asked", func(t *testing.T, w *world) {
		for _, p := range []string{"", "a\x00b", "\xff", strings.Repeat("x", 2000)} {
			_, err := w.v.Login(w.ctx(), "eleve", p, home)
			w.code(err, site.CodeWrongPassword)
		}
		for _, l := range []string{"", "  ", "a\x00", strings.Repeat("x", 2000)} {
			_, err := w.v.Login(w.ctx(), l, "eleve", home)
			w.code(err, site.CodeWrongPassword)
		}
		if n := w.people.Asked(); n != 0 {
			t.Errorf("asked %d times", n)
		}
	})
	bubble(t, "five wrong passwords make wait, and the seconds are told", func(t *testing.T, w *world) {
		w.tries(2, "eleve", home)
		time.Sleep(time.Minute)
		w.tries(3, "Eleve", home)
		asked := w.people.Asked()
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		if args := w.code(err, site.CodeTooManyTries); args["s"] != "540" {
			t.Errorf("%v", args)
		}
		if w.people.Asked() != asked {
			t.Error("the directory was asked all the same")
		}
		time.Sleep(540 * time.Second)
		_, err = w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
	})
	bubble(t, "other logins and other places are not held off", func(_ *testing.T, w *world) {
		w.tries(5, "eleve", home)
		_, err := w.v.Login(w.ctx(), "prof", "prof", home)
		w.ok(err)
		_, err = w.v.Login(w.ctx(), "eleve", "eleve", other)
		w.ok(err)
	})
	bubble(t, "many places guess no more at one login than one does", func(t *testing.T, w *world) {
		for n := range 10 {
			w.tries(1, "eleve", netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}))
		}
		asked := w.people.Asked()
		for n := range 50 {
			_, err := w.v.Login(w.ctx(), "ELEVE", "eleve", netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}))
			w.code(err, site.CodeTooManyTries)
		}
		if w.people.Asked() != asked {
			t.Error("the directory was asked all the same")
		}
		_, err := w.v.Login(w.ctx(), "prof", "prof", home)
		w.ok(err)
		time.Sleep(10 * time.Minute)
		_, err = w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
	})
	bubble(t, "and lock nobody out of a place where they are known, nor does a restart", func(_ *testing.T, w *world) {
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		storm := func() {
			for n := range 10 {
				w.tries(1, "eleve", netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}))
			}
		}
		storm()
		_, err = w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		w.restart()
		storm()
		_, err = w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		_, err = w.v.Login(w.ctx(), "eleve", "eleve", other)
		w.code(err, site.CodeTooManyTries)
	})
	bubble(t, "a place is not known for ever, and not by who fails there", func(_ *testing.T, w *world) {
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		w.tries(1, "eleve", other)
		time.Sleep(31 * 24 * time.Hour)
		w.restart()
		for n := range 10 {
			w.tries(1, "eleve", netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}))
		}
		for _, from := range []netip.Addr{home, other} {
			_, err = w.v.Login(w.ctx(), "eleve", "eleve", from)
			w.code(err, site.CodeTooManyTries)
		}
	})
	bubble(t, "a place that cannot be stored keeps nobody out", func(_ *testing.T, w *world) {
		w.store.SetFail(func(call string) error {
			if call == "place" {
				return errors.New("disk I/O error")
			}
			return nil
		})
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
	})
	bubble(t, "a whole IPv6 network of 64 bits is one place, and so are IPv4 and its mapped form", func(_ *testing.T, w *world) {
		for n := range 5 {
			w.tries(1, "eleve", netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n+1)))
			w.tries(1, "prof", []netip.Addr{home, netip.MustParseAddr("::ffff:192.0.2.7")}[n%2])
		}
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", netip.MustParseAddr("2001:db8::ffff:1"))
		w.code(err, site.CodeTooManyTries)
		_, err = w.v.Login(w.ctx(), "prof", "prof", home)
		w.code(err, site.CodeTooManyTries)
		_, err = w.v.Login(w.ctx(), "eleve", "eleve", netip.MustParseAddr("2001:db8:0:1::1"))
		w.ok(err)
	})
	bubble(t, "one place that tries many logins is held off, and who is known there is not", func(_ *testing.T, w *world) {
		_, err := w.v.Login(w.ctx(), "asso", "asso", home)
		w.ok(err)
		for n := range 10 {
			w.tries(1, fmt.Sprintf("eleve%d", n), home)
		}
		_, err = w.v.Login(w.ctx(), "prof", "prof", home)
		w.code(err, site.CodeTooManyTries)
		_, err = w.v.Login(w.ctx(), "prof", "prof", other)
		w.ok(err)
		time.Sleep(time.Minute) // the right password is asked again
		_, err = w.v.Login(w.ctx(), "asso", "asso", home)
		w.ok(err)
	}, func(c *site.Config) { c.Login.Spray = 10 })
	bubble(t, "many guesses at once are counted before they are answered", func(t *testing.T, w *world) {
		var all sync.WaitGroup
		var asked atomic.Int32
		w.people.Slow(time.Second)
		for n := range 50 {
			all.Go(func() {
				_, err := w.v.Login(w.ctx(), "eleve", fmt.Sprint("wrong", n), home)
				var e *site.Error
				if errors.As(err, &e) && e.Code == site.CodeWrongPassword {
					asked.Add(1)
				}
			})
		}
		all.Wait()
		if n := asked.Load(); n != 5 {
			t.Errorf("%d guesses were answered, want 5", n)
		}
	})
	bubble(t, "another spelling that the directory takes for the same login is no new try", func(_ *testing.T, w *world) {
		w.people.Add(site.Identity{Login: "odysseus", Role: site.Student}, "x")
		w.tries(5, "odysseus", home)
		for _, login := range []string{
			"ODYSSEUS", "ody\u017f\u017feus", "\uff4fdysseus", "od ysseus", "\u00a0odysseus", "o\u00addysseus", "ody\u200bsseus", "ody\u0301sseus",
		} {
			_, err := w.v.Login(w.ctx(), login, "x", home)
			w.code(err, site.CodeTooManyTries)
		}
	})
	bubble(t, "a right password on many connections at once is one question and no guess", func(t *testing.T, w *world) {
		w.people.Slow(time.Second)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := w.v.Login(w.ctx(), "eleve", "eleve", home); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := w.people.Asked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
	bubble(t, "right passwords do not count", func(_ *testing.T, w *world) {
		w.tries(4, "eleve", home)
		for range 20 {
			_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
			w.ok(err)
		}
		w.tries(1, "eleve", home)
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.code(err, site.CodeTooManyTries)
	})
	bubble(t, "a directory that is down does not count, and says so", func(_ *testing.T, w *world) {
		w.people.SetDown(&site.Error{Code: site.CodeDirectoryDown})
		for range 10 {
			_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
			w.code(err, site.CodeDirectoryDown)
		}
		w.people.SetDown(nil)
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
	})
	bubble(t, "a right password is not asked again for a minute", func(t *testing.T, w *world) {
		for _, password := range []string{"eleve", "eleve", "eleve"} {
			_, err := w.v.Login(w.ctx(), "eleve", password, home)
			w.ok(err)
		}
		if n := w.people.Asked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(61 * time.Second)
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		if n := w.people.Asked(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
	bubble(t, "a wrong password makes it asked again", func(t *testing.T, w *world) {
		_, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		w.tries(1, "eleve", home)
		_, err = w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		if n := w.people.Asked(); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
	bubble(t, "revoking makes it asked again", func(t *testing.T, w *world) {
		who, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		w.ok(w.v.Revoke(w.ctx(), who.Key))
		again, err := w.v.Login(w.ctx(), "eleve", "eleve", home)
		w.ok(err)
		if n := w.people.Asked(); n != 2 || again.Epoch != who.Epoch+1 {
			t.Errorf("asked %d times, epoch %d after %d", n, again.Epoch, who.Epoch)
		}
	})
	bubble(t, "an entry without a key is refused", func(_ *testing.T, w *world) {
		w.v = nil
		cfg := w.cfg
		cfg.Directory = nobody{}
		v, err := site.Open(w.ctx(), cfg)
		w.ok(err)
		w.v = v
		_, err = v.Login(w.ctx(), "eleve", "eleve", home)
		w.code(err, site.CodeDirectoryDeny)
	})
	bubble(t, "a role without a plan is refused by name, an admin is not", func(t *testing.T, w *world) {
		w.people.Add(site.Identity{Login: "visiteur", Role: "visitor"}, "x")
		w.people.Add(site.Identity{Login: "root", Role: "staff", Admin: true}, "x")
		_, err := w.v.Login(w.ctx(), "visiteur", "x", home)
		if args := w.code(err, site.CodeNoRole); args["login"] != "visiteur" {
			t.Errorf("%v", args)
		}
		_, err = w.v.Login(w.ctx(), "root", "x", home)
		w.ok(err)
	})
}

func TestBindBudget(t *testing.T) {
	w := newWorld(t, func(c *site.Config) { c.Login = site.Throttle{Binds: 0.001, Burst: 3} })
	for n := range 3 {
		_, err := w.v.Login(w.ctx(), fmt.Sprintf("eleve%d", n), "wrong", home)
		w.code(err, site.CodeWrongPassword)
	}
	_, err := w.v.Login(w.ctx(), "prof", "prof", other)
	w.code(err, site.CodeTooManyTries)
	if n := w.people.Asked(); n != 3 {
		t.Errorf("asked %d times", n)
	}
}

type nobody struct{}

func (nobody) Authenticate(context.Context, string, string) (site.Identity, error) {
	return site.Identity{Role: site.Student}, nil
}
