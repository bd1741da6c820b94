package unshare

import (
	"context"
	"errors"
	"fmt"
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

// Whoever asks for ever new sizes of disks fills no volume with empty ones.
func TestOnlyAFewBlankImagesAreKept(t *testing.T) {
	r := open(t)
	for i := range 2 * maxBlanks {
		s := spec(t, 1)
		s.Limits.Disk = int64(16+i) << 20
		r.create(t, s)
		if err := r.Destroy(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadDir(r.blanks.dir); err != nil || len(kept) > maxBlanks {
		t.Errorf("%d blank images are kept: %v", len(kept), err)
	}
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

// How many files a site may have is lowered and raised while it runs, and the kernel refuses its root the next one.
func TestTheNumberOfFilesIsHeldLive(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Limits.Disk, s.Limits.Inodes = 64<<20, 4096
	addr := r.running(t, s)
	held := func(limit int64) {
		t.Helper()
		l := s.Limits
		l.Inodes = limit
		r.hold(t, s.ID, l)
		r.full(t, s.ID, limit)
	}
	r.full(t, s.ID, 4096)
	held(2048)
	held(3000)
	r.leaveAndReturn(t, func() {})
	r.full(t, s.ID, 3000)
	held(2048)
	r.stop(t, s.ID)
	l := s.Limits
	l.Inodes = 1024
	r.hold(t, s.ID, l) // asleep
	r.start(t, s.ID)
	r.full(t, s.ID, 1024)
	held(4096)
	answers(t, addr)
}

// full has root inside make files until the kernel refuses, and wants that to be at the limit: by how many it made, and by
// what Usage says.
func (r *rig) full(t *testing.T, id string, limit int64) {
	t.Helper()
	out := r.sh(t, id, `python3 -c '
import os
os.mkdir("/root/many")
n = 0
try:
    while n < 100000: open("/root/many/%d" % n, "w").close(); n += 1
except OSError as e: print(e.errno, n)
'`, true)
	var number, made int64
	if _, err := fmt.Sscan(out, &number, &made); err != nil || number != int64(unix.ENOSPC) {
		t.Errorf("with a limit of %d it says %q", limit, out)
	}
	most := limit + limit/16                  // mkfs rounds up
	if made < limit-limit/8 || made >= most { // what was there before is some dozens
		t.Errorf("with a limit of %d it made %d", limit, made)
	}
	u, err := r.Usage(t.Context(), id)
	if err != nil || u.Inodes != u.InodesMax || u.InodesMax < limit || u.InodesMax > most {
		t.Errorf("with a limit of %d it has %d of %d, %v", limit, u.Inodes, u.InodesMax, err)
	}
	r.sh(t, id, "rm -r /root/many", true)
}

// A site that has more files than it shall have is not stopped short: its limit stays, until it has tidied up.
func TestMoreFilesThanTheNewLimitKeepTheOldOne(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Limits.Disk, s.Limits.Inodes = 64<<20, 4096
	r.running(t, s)
	r.sh(t, s.ID, `mkdir many; cd many; seq 3000 | xargs touch`, false)
	l := s.Limits
	l.Inodes = 2048
	r.hold(t, s.ID, l)
	if u, err := r.Usage(t.Context(), s.ID); err != nil || u.InodesMax < 4096 || u.Inodes < 3000 {
		t.Errorf("it has %d of %d, %v", u.Inodes, u.InodesMax, err)
	}
	r.sh(t, s.ID, "rm -r many", false)
	r.hold(t, s.ID, l)
	r.full(t, s.ID, 2048)
	if out := r.sh(t, s.ID, "find / -xdev -name "+ballastDir, true); out != "" {
		t.Errorf("the ballast is seen inside: %s", out)
	}
}

// A change of the limit that fails at its end, or that ends with the runtime half-way, is taken back.
func TestABrokenChangeOfTheNumberOfFilesIsTakenBack(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Limits.Disk, s.Limits.Inodes = 64<<20, 4096
	r.running(t, s)
	l := s.Limits
	l.Inodes = 2048
	r.hold(t, s.ID, l)
	for _, inodes := range []int64{1024, 4096} {
		other := l
		other.Inodes = inodes
		r.failsAt(t, "write limits", func() error { return r.SetLimits(t.Context(), s.ID, other) })
		r.full(t, s.ID, 2048)
	}
	r.breakOff(t, s.ID, 3000)
	r.leaveAndReturn(t, func() {})
	r.hold(t, s.ID, l)
	r.full(t, s.ID, 2048)
}

// breakOff leaves a site's ballast and record as a runtime does that ends while it makes or removes some.
func (r *rig) breakOff(t *testing.T, id string, half int64) {
	t.Helper()
	c, err := r.find(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.leave(c)
	changing := c.record
	changing.Fitting = true
	b, err := r.reachBallast(t.Context(), c, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := errors.Join(r.replaceRecord(c, changing), setBallast(t.Context(), b.dir, b.has, half)); err != nil {
		t.Fatal(err)
	}
}

// Half-made ballast is found by its last number, whatever the record says.
func TestBallastIsCounted(t *testing.T) {
	dir, err := unix.Open(t.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(dir) }()
	has := int64(0)
	for _, want := range []int64{0, 1, 2, 3, 4, 5, 37, 64, 100, 63, 1, 0} {
		if err := setBallast(t.Context(), dir, has, want); err != nil {
			t.Fatal(err)
		}
		if has = countBallast(dir); has != want {
			t.Errorf("%d were made, %d counted", want, has)
		}
	}
}
