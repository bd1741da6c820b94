package site_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"petitpont/site"
)

// again is how often the directory is asked in these tests.
const again = time.Minute

func lookingAgain(c *site.Config) { c.Again = again }

// signIn is a session of login, as a door holds it.
func (w *world) signIn(login string) site.Identity {
	w.t.Helper()
	who, err := w.v.Login(w.ctx(), login, login, home)
	w.ok(err)
	return who
}

// over tells whether a session has ended, once everything that can happen by now has happened.
func (w *world) over(who site.Identity) bool {
	synctest.Wait()
	select {
	case <-w.v.Revoked(who):
		return true
	default:
		return false
	}
}

func TestWhoLosesTheirPlaceLosesTheirSessions(t *testing.T) {
	for name, change := range map[string]func(w *world, was site.Identity){
		"they are gone": func(w *world, _ site.Identity) { w.people.Remove("admin") },
		"their role is another": func(w *world, was site.Identity) {
			was.Role = site.Student
			w.people.Add(was, "admin")
		},
		"they are no administrator any more": func(w *world, was site.Identity) {
			was.Admin = false
			w.people.Add(was, "admin")
		},
		"their login is another person's": func(w *world, was site.Identity) {
			was.Key = "uuid-of-another"
			w.people.Add(was, "admin")
		},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.make("blog")
			who, other := w.signIn("admin"), w.signIn("prof")
			held := w.v.Revoked(who)
			files, err := w.v.Files(w.ctx(), who, "blog")
			w.ok(err)
			change(w, w.who("admin"))
			if w.over(who) {
				t.Error("it ended before anybody could know")
			}
			time.Sleep(again)
			if !w.over(who) || w.over(other) {
				t.Fatalf("the session is over: %v, another person's: %v", w.over(who), w.over(other))
			}
			select {
			case <-held:
			default:
				t.Error("a door that waits was not told")
			}
			if _, err := files.Read(make([]byte, 1)); err == nil {
				t.Error("the file session still speaks")
			}
		}, lookingAgain)
	}
	bubble(t, "nothing has changed but their name", func(t *testing.T, w *world) {
		who := w.signIn("eleve")
		now := w.who("eleve")
		now.Name, now.Mail = "Married", "new@ecole.example"
		w.people.Add(now, "eleve")
		time.Sleep(3 * again)
		if looked := w.people.Looked(); !slices.Contains(looked, "eleve") || w.over(who) {
			t.Errorf("%v were looked up, it is over: %v", looked, w.over(who))
		}
	}, lookingAgain)
	bubble(t, "a directory that is down signs nobody out", func(t *testing.T, w *world) {
		who := w.signIn("eleve")
		w.people.Remove("eleve")
		w.people.SetDown(&site.Error{Code: site.CodeDirectoryDown})
		for range 30 {
			time.Sleep(again)
			if w.over(who) {
				t.Fatal("it is over")
			}
		}
		w.people.SetDown(nil)
		time.Sleep(again)
		if !w.over(who) {
			t.Error("the directory is back, and it still holds")
		}
	}, lookingAgain)
	bubble(t, "only who is here is looked up", func(t *testing.T, w *world) {
		who := w.signIn("eleve")
		time.Sleep(time.Hour)
		w.people.Looked()
		time.Sleep(time.Hour)
		if looked := w.people.Looked(); len(looked) > 0 {
			t.Errorf("%v were looked up", looked)
		}
		w.people.Remove("eleve")
		if w.over(who) { // a click: the door asks
			t.Error("it ended before anybody could know")
		}
		time.Sleep(again)
		if !w.over(who) {
			t.Error("who has come back was not looked up")
		}
	}, lookingAgain)
	bubble(t, "a session of before a restart is looked up too", func(t *testing.T, w *world) {
		who := w.signIn("eleve")
		now := w.who("eleve")
		now.Role = site.Teacher
		w.people.Add(now, "eleve")
		w.restart()
		if w.over(who) {
			t.Error("it ended before anybody could know")
		}
		time.Sleep(again)
		if !w.over(who) {
			t.Error("it still holds")
		}
	}, lookingAgain)
	bubble(t, "of many each has their turn", func(t *testing.T, w *world) {
		const most, people = 200, 500
		all := map[string]site.Identity{}
		for i := range people {
			login := fmt.Sprint("p", i)
			all[login] = w.people.Add(site.Identity{Login: login, Role: site.Student}, login)
			w.over(all[login]) // a door asks
		}
		turns := map[string]int{}
		for range 3 {
			time.Sleep(again)
			synctest.Wait()
			looked := w.people.Looked()
			if len(looked) > most {
				t.Errorf("%d were looked up at once", len(looked))
			}
			for _, login := range looked {
				turns[login]++
			}
			for _, who := range all {
				w.over(who)
			}
		}
		if len(turns) != people {
			t.Errorf("%d of %d had their turn", len(turns), people)
		}
	}, lookingAgain)
}

func TestSigningInWithOtherRightsEndsTheSessionsOfBefore(t *testing.T) {
	change := func(w *world) {
		now := w.who("eleve")
		now.Role = site.Association
		w.people.Add(now, "eleve")
		time.Sleep(2 * time.Minute) // until the right password is not remembered any more
	}
	for name, restart := range map[string]func(*world){"of this process": func(*world) {}, "of before a restart": (*world).restart} {
		bubble(t, name, func(t *testing.T, w *world) {
			old := w.signIn("eleve")
			change(w)
			restart(w)
			again := w.signIn("eleve")
			if again.Role != site.Association || w.over(again) || !w.over(old) || w.over(again) {
				t.Errorf("the new one is %s and over: %v, the old one over: %v", again.Role, w.over(again), w.over(old))
			}
		})
	}
	bubble(t, "a session that stays open is told", func(t *testing.T, w *world) {
		held := w.v.Revoked(w.signIn("eleve"))
		change(w)
		w.signIn("eleve")
		select {
		case <-held:
		default:
			t.Error("it was not")
		}
	})
	bubble(t, "with the same rights both hold", func(t *testing.T, w *world) {
		old := w.signIn("eleve")
		time.Sleep(2 * time.Minute)
		if again := w.signIn("eleve"); w.over(again) || w.over(old) {
			t.Error("one of them is over")
		}
	})
}
