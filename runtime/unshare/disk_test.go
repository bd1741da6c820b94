package unshare

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Two loop devices over one image would write past each other: the lock must hold as long as the kernel's device does.
func TestAnImageIsNeverAttachedTwice(t *testing.T) {
	r := open(t)
	s := r.create(t, spec(t, 1))
	first, err := attachImage(t.Context(), r.image(s.ID), "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if second, err := attachImage(ctx, r.image(s.ID), "test", 0); !errors.Is(err, context.DeadlineExceeded) {
		_ = unix.Close(second)
		t.Errorf("attached a second time: %v", err)
	}
	_ = unix.Close(first)
	second, err := attachImage(t.Context(), r.image(s.ID), "test", 0)
	if err != nil {
		t.Fatal("it stays locked:", err)
	}
	_ = unix.Close(second)
}

func TestOnlyRoomThatExistsIsPromised(t *testing.T) {
	r := openOn(t, volume(t, 400<<20))
	r.mu.Lock()
	left, err := r.available()
	r.mu.Unlock()
	if err != nil || left <= 0 {
		t.Fatal(left, err)
	}
	s := spec(t, 1)
	s.Limits.Disk = left + 1<<20
	if err := r.Create(t.Context(), s); !errors.Is(err, runtime.ErrNoSpace) {
		t.Errorf("promised more than there is: %v", err)
	}
	big := func(slot int) runtime.Spec {
		s := spec(t, slot)
		s.Limits.Disk = left / 5 * 2
		return s
	}
	for slot := range 3 { // two fit, with a fifth to spare for the blank images
		err := r.Create(t.Context(), big(slot))
		if slot < 2 && err != nil || slot == 2 && !errors.Is(err, runtime.ErrNoSpace) {
			t.Errorf("site %d: %v", slot, err)
		}
	}
}

func TestASlotHasOneSite(t *testing.T) {
	r := open(t)
	r.create(t, spec(t, 7))
	if err := r.Create(t.Context(), spec(t, 7)); !errors.Is(err, runtime.ErrInvalid) {
		t.Errorf("two sites with the same UIDs: %v", err)
	}
}

func TestADiskGrowsAsleepAndAwake(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	r.create(t, s)
	grow := func(to int64) {
		t.Helper()
		l := s.Limits
		l.Disk = to
		if err := r.SetLimits(t.Context(), s.ID, l); err != nil {
			t.Fatal(err)
		}
	}
	room := func() int64 {
		t.Helper()
		u, err := r.Usage(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u.DiskMax
	}
	grow(384 << 20)
	r.start(t, s.ID)
	if got := room(); got < 360<<20 {
		t.Errorf("grown asleep, it has %d bytes", got)
	}
	r.sh(t, s.ID, "echo kept > /home/site/kept", false)
	grow(512 << 20)
	if !canResize(t) { // hosts that are containers themselves: it takes a restart
		r.stop(t, s.ID)
		r.start(t, s.ID)
	}
	if got := room(); got < 480<<20 {
		t.Errorf("grown awake, it has %d bytes", got)
	}
	if out := r.sh(t, s.ID, "cat kept; df --output=size -B1M / | tail -1", false); !strings.HasPrefix(out, "kept\n") || strings.TrimSpace(out[5:]) < "480" {
		t.Errorf("inside: %q", out)
	}
}

// canResize tells whether this process has CAP_SYS_RESOURCE, which growing a mounted ext4 takes.
func canResize(t *testing.T) bool {
	t.Helper()
	caps, err := strconv.ParseUint(statusField(procFile(t, os.Getpid(), "status"), "CapEff"), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return caps&(1<<unix.CAP_SYS_RESOURCE) != 0
}

func TestTheQuotaIsTheSitesOwn(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Limits.Disk = 32 << 20
	addr := r.running(t, s)
	out := r.sh(t, s.ID, "i=0; while true > n$i; do i=$((i+1)); done 2>/dev/null; cat /dev/zero > n0; cat /dev/zero > n1", false)
	if !strings.Contains(out, "No space left on device") {
		t.Errorf("it wrote %q", out)
	}
	answers(t, addr)
	r.stop(t, s.ID)
	for range 3 { // a full site still starts, and its owner gets in to make room
		answers(t, r.start(t, s.ID))
		r.stop(t, s.ID)
	}
	r.start(t, s.ID)
	if out := r.sh(t, s.ID, "rm n*; echo room > there && cat there", false); out != "room\n" {
		t.Errorf("tidying up says %q", out)
	}
}

func TestFilesOnTheDiskBelongToNobodysHost(t *testing.T) {
	r := open(t)
	s := spec(t, 9)
	r.running(t, s)
	r.sh(t, s.ID, "echo x > mine", false)
	r.stop(t, s.ID)
	m, err := attachImage(t.Context(), r.image(s.ID), "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(m) }()
	for name, uid := range map[string]uint32{"upper": 0, "work": 0, "upper/home/site/mine": 1000} {
		var st unix.Stat_t
		if err := unix.Fstatat(m, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Uid != uid {
			t.Errorf("%s belongs to %d on the disk, want %d (%v)", name, st.Uid, uid, err)
		}
	}
	if st, err := os.Stat(r.image(s.ID)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the image is %v, %v", st.Mode(), err)
	}
}
