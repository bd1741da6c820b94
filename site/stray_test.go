package site_test

import (
	"errors"
	"slices"
	"testing"

	"petitpont/runtime"
	"petitpont/site"
)

// lost makes a container that no site owns, and lets it be found.
func (w *world) lost(id string) {
	w.t.Helper()
	w.ok(w.driver.Create(w.ctx(), runtime.Spec{ID: id, Template: "web", Slot: 77, Segment: "student", Hostname: "x"}))
	w.ok(w.v.Reconcile(w.ctx()))
}

func (w *world) health() site.Health {
	w.t.Helper()
	h, err := w.v.Health(w.ctx(), w.who("admin"))
	w.ok(err)
	return h
}

func TestDeleteStray(t *testing.T) {
	w := newWorld(t)
	mine := w.make("blog")
	w.lost("strangerzz")
	w.code(w.v.DeleteStray(w.ctx(), w.who("eleve"), "strangerzz", "strangerzz"), site.CodeForbidden)
	if args := w.code(w.v.DeleteStray(w.ctx(), w.who("admin"), "strangerzz", "stranger"), site.CodeTyped); args["x"] != "stranger" || args["s"] != "strangerzz" {
		t.Errorf("%v", args)
	}
	for _, id := range []string{string(mine.ID), "../sites", "", "aaaaaaaaaa"} {
		w.code(w.v.DeleteStray(w.ctx(), w.who("admin"), id, id), site.CodeNotFound)
	}
	if w.driver.Reached("destroy") != 0 || len(w.health().Lost.Containers) != 1 {
		t.Fatalf("%d destroys, %+v", w.driver.Reached("destroy"), w.health().Lost)
	}
	w.ok(w.v.DeleteStray(w.ctx(), w.who("admin"), "strangerzz", " strangerzz "))
	if l := w.health().Lost; len(l.Containers) != 0 || w.driver.Reached("destroy") != 1 {
		t.Errorf("%+v", l)
	}
	w.until("blog", site.Awake)
}

func TestHealthShowsWhatIsLeftOver(t *testing.T) {
	w := newWorld(t)
	w.driver.Lost = []runtime.Stray{{Kind: runtime.StrayFolder, Name: "/data/sites/x"}}
	if l := w.health().Lost; !slices.Equal(l.Leftovers, w.driver.Lost) || l.Err != nil {
		t.Errorf("%+v", l)
	}
	boom := errors.New("boom")
	w.driver.Fail("strays", boom)
	if l := w.health().Lost; !errors.Is(l.Err, boom) {
		t.Errorf("%+v", l)
	}
}

func TestAFullLedger(t *testing.T) {
	t.Run("refuses a creation early, and leaves nothing", func(t *testing.T) {
		w := newWorld(t)
		w.driver.Room = 1 << 30 // less than one disk and the reserve
		_, err := w.v.Create(w.ctx(), w.who("eleve"), site.New{Name: "blog"})
		w.code(err, site.CodeHostDisk)
		if mine, _ := w.v.Mine(w.ctx(), w.who("eleve")); len(mine) != 0 || w.driver.Reached("create") != 0 {
			t.Errorf("%+v, %d creates", mine, w.driver.Reached("create"))
		}
		if h := w.health(); !h.Storage.Short || h.Storage.Reserve == 0 {
			t.Errorf("%+v", h.Storage)
		}
	})
	t.Run("that cannot be read leaves the refusal to the driver", func(t *testing.T) {
		w := newWorld(t)
		w.driver.Fail("ledger", runtime.ErrDown)
		w.make("blog")
	})
}
