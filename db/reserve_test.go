package db

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/site"
	"petitpont/site/sitetest"
)

// small is a volume of its own, in memory. Needs root, as mounting does.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("petitpont-test", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=64m,mode=0700"); err != nil {
		t.Fatalf("mount a small volume: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error("unmount:", err)
		}
	})
	return dir
}

// fill takes every block that is left, as a forgotten copy does.
func fill(t *testing.T, dir string) (foreign string) {
	t.Helper()
	foreign = filepath.Join(dir, "foreign")
	out, err := exec.Command("dd", "if=/dev/zero", "of="+foreign, "bs=4k").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "No space left") {
		t.Fatalf("the volume takes more: %v: %s", err, out)
	}
	return foreign
}

func TestReserve(t *testing.T) {
	dir := small(t)
	d := open(t, filepath.Join(dir, "petitpont.db"))
	held := filepath.Join(dir, "petitpont.db.reserve")
	if i, err := os.Stat(held); err != nil || i.Size() != reserveSize || i.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", i, err)
	}
	var all []site.Site
	for n := range 50 {
		s, err := d.Add(t.Context(), sitetest.NewSite(n), 100)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	foreign := fill(t, dir)
	t.Run("lets people sign in and delete on a full volume", func(t *testing.T) {
		long := &site.Fault{Code: site.CodeServerEnded, Log: strings.Repeat("x", 4000)}
		for _, s := range all {
			s.Want, s.Fault = site.Gone, long
			if err := d.Update(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if err := d.Sessions().Commit("token-"+string(s.ID), []byte("data"), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Revoke(t.Context(), s.Owner); err != nil {
				t.Fatal(err)
			}
			if err := d.Remove(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
		}
		if left, err := d.Sites(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("%d left, %v", len(left), err)
		}
	})
	t.Run("says that it is in use", func(t *testing.T) {
		if err := d.Reserve(); err == nil || !strings.Contains(err.Error(), "the volume is full") {
			t.Errorf("%v", err)
		}
		if i, err := os.Stat(held); err != nil || i.Size() >= reserveSize {
			t.Errorf("nothing was given: %v, %v", i, err)
		}
	})
	t.Run("is taken again once there is room", func(t *testing.T) {
		if err := os.Remove(foreign); err != nil {
			t.Fatal(err)
		}
		if err := d.Reserve(); err != nil {
			t.Error(err)
		}
		if i, err := os.Stat(held); err != nil || i.Size() != reserveSize {
			t.Errorf("%v, %v", i, err)
		}
	})
	t.Run("has an end, which is told", func(t *testing.T) {
		fill(t, dir)
		for d.reserve.give() {
			fill(t, dir)
		}
		var err error
		for n := 0; err == nil && n < 1000; n++ { // until its log is at its end
			_, err = d.Add(t.Context(), sitetest.NewSite(n+100), 10_000)
		}
		if !isFull(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a register on a full volume opens all the same", func(t *testing.T) {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		open(t, filepath.Join(dir, "petitpont.db"))
	})
}

func TestOnlyAFullVolumeCountsAsOne(t *testing.T) {
	if isFull(nil) || isFull(errors.New("disk full")) || isFull(site.ErrQuota) {
		t.Error("something else counts")
	}
}
