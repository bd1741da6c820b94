package sitetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"petitpont/runtime"
	"petitpont/site"
)

// NewSite is a row as the service would add it; n makes it differ from the others.
func NewSite(n int) site.Site {
	now := time.Date(2026, 11, 20, 8, 0, n%60, 0, time.UTC)
	return site.Site{
		ID: site.ID(fmt.Sprintf("site%06d", n)), Name: fmt.Sprintf("site-%d", n),
		Owner: fmt.Sprintf("uuid-%d", n), OwnerLogin: fmt.Sprintf("eleve%d", n), Role: site.Student,
		Stack: site.Offers()[1], Password: "Pa55word", Want: site.Up, State: site.Creating, CreatedAt: now, ChangedAt: now,
	}
}

// TestStore is the contract of site.Store. open returns an empty one.
func TestStore(t *testing.T, open func(t *testing.T) site.Store) {
	for name, try := range map[string]func(t *testing.T, s site.Store){
		"what was added is read back":                           addedIsRead,
		"what was updated is read back":                         updatedIsRead,
		"update changes neither name, owner, slot nor password": updateKeeps,
		"a taken name is refused":                               takenName,
		"the quota is held":                                     quotaHeld,
		"the quota is held against many at once":                quotaParallel,
		"the smallest free slot is given":                       smallestSlot,
		"many at once get different slots":                      slotsParallel,
		"a removed row is gone, and its name is free":           removed,
		"update of an absent row is ErrNoRow":                   absentRow,
		"remove of an absent row is a no-op":                    removeAbsent,
		"epochs begin at zero and grow one by one":              epochs,
		"a wave replaces that of its template":                  waves,
		"a place is read until it is too long ago":              places,
		"an ended ctx changes nothing":                          endedCtx,
	} {
		t.Run(name, func(t *testing.T) { try(t, open(t)) })
	}
}

func add(t *testing.T, s site.Store, row site.Site) site.Site {
	t.Helper()
	got, err := s.Add(t.Context(), row, 100)
	if err != nil {
		t.Fatalf("add %s: %v", row.Name, err)
	}
	return got
}

func rows(t *testing.T, s site.Store) map[site.ID]site.Site {
	t.Helper()
	all, err := s.Sites(t.Context())
	if err != nil {
		t.Fatalf("sites: %v", err)
	}
	byID := map[site.ID]site.Site{}
	for _, row := range all {
		byID[row.ID] = row
	}
	return byID
}

func same(t *testing.T, got, want site.Site) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateApproxTime(0)); d != "" {
		t.Errorf("row differs (-want +got):\n%s", d)
	}
}

func addedIsRead(t *testing.T, s site.Store) {
	row := NewSite(1)
	got := add(t, s, row)
	if got.Slot < 1 {
		t.Errorf("slot %d", got.Slot)
	}
	row.Slot = got.Slot
	same(t, got, row)
	same(t, rows(t, s)[row.ID], row)
}

func updatedIsRead(t *testing.T, s site.Store) {
	row := add(t, s, NewSite(1))
	row.Want, row.State, row.Epoch = site.Down, site.Failed, 7
	row.MadeAt, row.ChangedAt, row.UsedAt = row.CreatedAt.Add(1), row.CreatedAt.Add(2), row.CreatedAt.Add(3)
	row.Fault = &site.Fault{Code: site.CodeSilent, Args: site.Args{"s": "blog", "n": "20"}, Log: "a\nb\x00é", Ref: "7F3A-21"}
	row.Own, row.Kept, row.MovedFrom = runtime.Limits{Memory: 1 << 29, CPU: 1500}, "20261120-1", "20261118-1"
	row.KeptFault = &site.Fault{Code: site.CodeServerEnded, Args: site.Args{"s": "blog"}, Log: "a", Ref: "7F3A-22"}
	if err := s.Update(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	same(t, rows(t, s)[row.ID], row)
	row.Fault = nil
	row.Own, row.Kept, row.KeptFault, row.MovedFrom = runtime.Limits{}, "", nil, ""
	row.MadeAt = time.Time{}
	if err := s.Update(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	same(t, rows(t, s)[row.ID], row)
}

func updateKeeps(t *testing.T, s site.Store) {
	row := add(t, s, NewSite(1))
	bad := row
	bad.Password = "other"
	bad.Name, bad.Owner, bad.Slot, bad.CreatedAt = "other", "uuid-other", 99, row.CreatedAt.Add(time.Hour)
	if err := s.Update(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	same(t, rows(t, s)[row.ID], row)
}

func takenName(t *testing.T, s site.Store) {
	first := add(t, s, NewSite(1))
	second := NewSite(2)
	second.Name = first.Name
	if _, err := s.Add(t.Context(), second, 100); !errors.Is(err, site.ErrNameTaken) {
		t.Errorf("got %v, want ErrNameTaken", err)
	}
	if n := len(rows(t, s)); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func quotaHeld(t *testing.T, s site.Store) {
	for n := range 3 {
		row := NewSite(n)
		row.Owner = "uuid-one"
		_, err := s.Add(t.Context(), row, 2)
		if want := n == 2; errors.Is(err, site.ErrQuota) != want {
			t.Errorf("site %d of 2: got %v", n+1, err)
		}
	}
	add(t, s, NewSite(9)) // somebody else's
	if n := len(rows(t, s)); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

func quotaParallel(t *testing.T, s site.Store) {
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			row := NewSite(n)
			row.Owner = "uuid-one"
			if _, err := s.Add(t.Context(), row, 3); err != nil && !errors.Is(err, site.ErrQuota) {
				t.Errorf("add: %v", err)
			}
		})
	}
	all.Wait()
	if n := len(rows(t, s)); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

func smallestSlot(t *testing.T, s site.Store) {
	for n := range 4 {
		if got := add(t, s, NewSite(n)).Slot; got != n+1 {
			t.Errorf("site %d got the slot %d", n, got)
		}
	}
	for _, n := range []int{2, 0} {
		if err := s.Remove(t.Context(), NewSite(n).ID); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{1, 3, 5} {
		if got := add(t, s, NewSite(10+i)).Slot; got != want {
			t.Errorf("got the slot %d, want %d", got, want)
		}
	}
	for i, want := range []int{6, 9} { // 7 and 8 are those of containers without a row
		row, err := s.Add(t.Context(), NewSite(20+i), 100, 8, 7)
		if err != nil || row.Slot != want {
			t.Errorf("got the slot %d, want %d (%v)", row.Slot, want, err)
		}
	}
}

func slotsParallel(t *testing.T, s site.Store) {
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			if _, err := s.Add(t.Context(), NewSite(n), 100); err != nil {
				t.Errorf("add: %v", err)
			}
		})
	}
	all.Wait()
	seen := map[int]bool{}
	for _, row := range rows(t, s) {
		if seen[row.Slot] || row.Slot < 1 || row.Slot > 16 {
			t.Errorf("slot %d", row.Slot)
		}
		seen[row.Slot] = true
	}
}

func removed(t *testing.T, s site.Store) {
	row := add(t, s, NewSite(1))
	if err := s.Remove(t.Context(), row.ID); err != nil {
		t.Fatal(err)
	}
	if n := len(rows(t, s)); n != 0 {
		t.Errorf("%d rows", n)
	}
	again := NewSite(2)
	again.Name = row.Name
	add(t, s, again)
}

func absentRow(t *testing.T, s site.Store) {
	if err := s.Update(t.Context(), NewSite(1)); !errors.Is(err, site.ErrNoRow) {
		t.Errorf("got %v, want ErrNoRow", err)
	}
}

func removeAbsent(t *testing.T, s site.Store) {
	if err := s.Remove(t.Context(), NewSite(1).ID); err != nil {
		t.Error(err)
	}
}

func waves(t *testing.T, s site.Store) {
	now := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	for _, w := range []site.Wave{
		{Template: "web", Version: "20261120-1", Older: []string{"20261119-1"}, BeganAt: now},
		{Template: "other", Version: "20261120-1", Older: []string{}, BeganAt: now},
		{Template: "web", Version: "20261121-1", Older: []string{"20261119-1", "20261120-1"}, BeganAt: now.Add(time.Hour)},
	} {
		if err := s.SetWave(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Waves(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, w := range all {
		if w.Template == "web" && (w.Version != "20261121-1" || len(w.Older) != 2 || !w.BeganAt.Equal(now.Add(time.Hour))) {
			t.Errorf("%+v", w)
		}
	}
}

func epochs(t *testing.T, s site.Store) {
	for want := range int64(3) {
		got, err := s.Epoch(t.Context(), "uuid-one")
		if err != nil || got != want {
			t.Errorf("epoch %d, %v, want %d", got, err, want)
		}
		if got, err = s.Revoke(t.Context(), "uuid-one"); err != nil || got != want+1 {
			t.Errorf("revoked to %d, %v, want %d", got, err, want+1)
		}
	}
	if got, err := s.Epoch(t.Context(), "uuid-other"); err != nil || got != 0 {
		t.Errorf("somebody else is at %d, %v", got, err)
	}
}

func endedCtx(t *testing.T, s site.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Add(ctx, NewSite(1), 100); err == nil {
		t.Error("added")
	}
	if n := len(rows(t, s)); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func places(t *testing.T, s site.Store) {
	now := time.Unix(1_760_000_000, 42)
	set := func(place string, at, since time.Time) {
		t.Helper()
		if err := s.SetPlace(t.Context(), place, at, since); err != nil {
			t.Fatal(err)
		}
	}
	set("a", now.Add(-time.Hour), now.Add(-48*time.Hour))
	set("b", now.Add(-24*time.Hour), now.Add(-48*time.Hour))
	set("a", now, now.Add(-48*time.Hour))
	all, err := s.Places(t.Context(), now.Add(-48*time.Hour))
	if err != nil || len(all) != 2 || !all["a"].Equal(now) || !all["b"].Equal(now.Add(-24*time.Hour)) {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := s.Places(t.Context(), now.Add(-time.Hour)); err != nil || len(all) != 1 || all["a"].IsZero() {
		t.Errorf("%v, %v", all, err)
	}
	set("c", now, now.Add(-time.Hour))
	if all, err := s.Places(t.Context(), now.Add(-48*time.Hour)); err != nil || len(all) != 2 || !all["b"].IsZero() {
		t.Errorf("%v, %v: the old one was not forgotten", all, err)
	}
}
