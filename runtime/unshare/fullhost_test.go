package unshare

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"

	"petitpont/runtime"
)

// volume is a small file system of its own for the sites of a test.
func volume(t testing.TB, size int64) string {
	t.Helper()
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "volume.img")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	tell(t, "mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=4", image)
	tell(t, "mount", "-o", "loop", image, dir)
	t.Cleanup(func() { tell(t, "umount", dir) })
	return dir
}

func tell(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v: %s", argv, err, out)
	}
	return string(out)
}

// fill takes every last block of a volume, as an administrator's forgotten copy does.
func fill(t testing.TB, dir string) {
	t.Helper()
	for _, block := range []string{"1M", "4k"} {
		out, err := exec.Command("dd", "if=/dev/zero", "of="+filepath.Join(dir, "foreign-"+block), "bs="+block, "conv=fsync").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "No space left") {
			t.Fatalf("the volume takes more: %v: %s", err, out)
		}
	}
}

// write has a site write and sync megabytes within its quota, and returns what went wrong.
func (r *rig) write(t testing.TB, id, name string, megabytes int) string {
	t.Helper()
	return r.sh(t, id, fmt.Sprintf("dd if=/dev/urandom of=%s bs=1M count=%d conv=fsync 2>&1 | grep -v records | grep -v copied; echo ok > small && sync small && cat small", name, megabytes), false)
}

// intact checks a stopped site's file system without repairing it.
func (r *rig) intact(t testing.TB, id string) {
	t.Helper()
	tell(t, "e2fsck", "-f", "-n", "-E", "journal_only", r.image(id)) // replays into nothing: says whether the journal can be
	f, err := os.Open(r.image(id))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if sb, err := readSuperblock(f); err != nil || sb.broken() {
		t.Errorf("the disk of %s is damaged: %v", id, err)
	}
}

// Fact 6: three sites on a volume that is smaller than what is free. Each writes within its quota, and then somebody else
// fills the volume to the last block. Nobody who keeps to what he was promised may notice.
func TestAFullHostDamagesNobody(t *testing.T) {
	data := volume(t, 440<<20)
	r := openOn(t, data)
	var sites []runtime.Spec
	for slot := range 3 {
		s := spec(t, slot)
		s.Limits.Disk, s.Limits.Inodes = 120<<20, 4096
		sites = append(sites, s)
		r.running(t, s)
	}
	fourth := spec(t, 4)
	fourth.Limits.Disk = 120 << 20
	if err := r.Create(t.Context(), fourth); !errors.Is(err, runtime.ErrNoSpace) {
		t.Errorf("a fourth site: %v", err)
	}
	for _, s := range sites {
		if out := r.write(t, s.ID, "first", 40); out != "ok\n" {
			t.Errorf("on a volume with room: %s", out)
		}
	}
	fill(t, data)
	for _, s := range sites {
		if out := r.write(t, s.ID, "second", 50); out != "ok\n" {
			t.Errorf("on a full volume: %s", out)
		}
	}
	for _, s := range sites {
		r.stop(t, s.ID)
		r.intact(t, s.ID)
		answers(t, r.start(t, s.ID))
		if out := r.sh(t, s.ID, "stat -c %s first second; echo again > small && sync small && cat small", false); out != "41943040\n52428800\nagain\n" {
			t.Errorf("after a restart on a full volume: %s", out)
		}
	}
	l := sites[0].Limits
	l.Disk += 8 << 20
	if err := r.SetLimits(t.Context(), sites[0].ID, l); !errors.Is(err, runtime.ErrNoSpace) {
		t.Errorf("it grows on a full volume: %v", err)
	}
	if st, err := os.Stat(r.image(sites[0].ID)); err != nil || st.Size() != sites[0].Limits.Disk {
		t.Errorf("a refused growth leaves the image at %d bytes, %v", st.Size(), err)
	}
}

// The counter-proof: the same with images that are promises only. It takes little to see what fact 6 says.
func TestPromisesAloneAreBrokenByAFullHost(t *testing.T) {
	data := volume(t, 220<<20)
	r := openOn(t, data)
	s := spec(t, 1)
	s.Limits.Disk, s.Limits.Inodes = 120<<20, 4096
	r.create(t, s)
	tell(t, "fallocate", "--dig-holes", r.image(s.ID)) // what an image was before its room was taken
	r.start(t, s.ID)
	fill(t, data)
	if out := r.write(t, s.ID, "first", 50); out == "ok\n" {
		t.Error("a sparse image on a full volume is as good: the test proves nothing")
	}
	r.stop(t, s.ID)
	tell(t, "rm", filepath.Join(data, "foreign-1M"), filepath.Join(data, "foreign-4k"))
	r.takeRooms() // what Open does with such images, when there is room again
	fill(t, data)
	r.start(t, s.ID) // repaired first
	if out := r.write(t, s.ID, "first", 50); out != "ok\n" {
		t.Errorf("after its room was taken: %s", out)
	}
}

// The kernel itself keeps up to a fiftieth of a small disk back. A site without a free byte, or without a free inode, serves and starts, and its owner makes room by SFTP.
func TestAFullSiteIsTidiedUpBySFTP(t *testing.T) {
	for what, script := range map[string]string{
		"bytes":  "cat /dev/zero > big; cat /dev/zero > big2; cat /dev/zero > big3",
		"inodes": "mkdir -p d; i=0; while true > d/$i; do i=$((i+1)); done",
	} {
		t.Run(what, func(t *testing.T) {
			r := open(t)
			s := spec(t, 1)
			s.Limits.Disk, s.Limits.Inodes = 24<<20, 1024
			addr := r.running(t, s)
			r.sh(t, s.ID, "cd www; "+script, false)
			u, err := r.Usage(t.Context(), s.ID)
			if err != nil || what == "bytes" && u.Disk < u.DiskMax-u.DiskMax/20 || what == "inodes" && u.Inodes < u.InodesMax-2 {
				t.Errorf("it is not full: %+v, %v", u, err)
			}
			answers(t, addr)
			r.stop(t, s.ID)
			answers(t, r.start(t, s.ID))
			for _, asleep := range []bool{false, true} {
				if asleep {
					r.stop(t, s.ID)
				}
				r.tidy(t, s.ID, what, asleep)
			}
			answers(t, r.start(t, s.ID))
			if out := r.sh(t, s.ID, "echo room > there && cat there", false); out != "room\n" {
				t.Errorf("after tidying up: %q", out)
			}
		})
	}
}

// tidy removes a file of a full site, one way while it runs and another while it sleeps.
func (r *rig) tidy(t *testing.T, id, what string, asleep bool) {
	t.Helper()
	conn, err := r.Files(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	client, err := sftp.NewClientPipe(conn, conn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(); _ = conn.Close() }()
	names := map[string][]string{"bytes": {"/www/big", "/www/big2"}, "inodes": {"/www/d/1", "/www/d/2"}}[what]
	name := names[0]
	if asleep {
		name = names[1]
	}
	if err := client.Remove(name); err != nil {
		t.Errorf("remove %s, asleep %v: %v", name, asleep, err)
	}
}
