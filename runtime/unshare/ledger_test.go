package unshare

import (
	"os"
	"path/filepath"
	"testing"

	"petitpont/runtime"
)

func TestStrays(t *testing.T) {
	r := open(t)
	r.running(t, spec(t, 1))
	list := func() []runtime.Stray {
		t.Helper()
		all, err := r.Strays(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	folder := r.siteDir("abandonned")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "spec.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	group, err := r.groups.make("strangerzz", withDefaults(runtime.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = group.remove() })
	want := []runtime.Stray{{Kind: runtime.StrayCgroup, Name: "strangerzz"}, {Kind: runtime.StrayFolder, Name: folder}}
	if got := list(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v", got)
	}
	t.Run("of the kernel are gone when the driver is opened again, folders stay", func(t *testing.T) {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r.reopen(t, r.Config)
		if got := list(); len(got) != 1 || got[0] != want[1] {
			t.Errorf("%+v", got)
		}
		if _, err := os.Stat(filepath.Join(folder, "spec.json")); err != nil {
			t.Error("what could not be read was touched")
		}
	})
}

func TestTheLedgerIsWhatCreateGoesBy(t *testing.T) {
	r := open(t)
	r.create(t, spec(t, 1))
	l, err := r.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l.Reserve != r.Reserve || l.Promised != 256<<20 || l.Held != 256<<20 {
		t.Errorf("%+v", l)
	}
	s := spec(t, 2)
	s.Limits.Disk = l.Volume // more than any volume that has something on it can promise
	if err := r.Create(t.Context(), s); err == nil {
		t.Errorf("it was made with %d free", l.Free)
	}
}
