package unshare

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
)

// unified is where this host has the v2 tree: alone, or beside v1, then without controllers.
func unified(t *testing.T) string {
	t.Helper()
	m, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup2"))
	if err != nil || len(m) == 0 {
		t.Fatal("the host has no cgroup2 mount:", err)
	}
	return m[0].Mountpoint
}

// TestV2 tries birth, entry and freezing on the kernel's own v2 tree, which every supported host has.
func TestV2(t *testing.T) {
	h := v2{cgroupDir(filepath.Join(unified(t), "u"+random(t, 5)))}
	g := h.open(random(t, 10)).(v2Group)
	for _, d := range []cgroupDir{h.top, g.all, g.keep, g.run} {
		if err := d.mkdir(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := g.remove(); err != nil {
			t.Error(err)
		}
		if err := h.removeAll(); err != nil {
			t.Error(err)
		}
	})
	entry, err := g.entry()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = entry.Close() }()
	// it is born in keep, then puts itself into run by the descriptor
	kept, moved := born(t, g, "exec sleep 1000", nil), born(t, g, "echo 0 >&3 && exec sleep 1000", entry)
	until(t, "both are where they belong", func() bool {
		return slices.Equal(g.keep.procs(), []int{kept}) && slices.Equal(g.run.procs(), []int{moved})
	})
	if err := g.freeze(true); err != nil || !g.frozen() {
		t.Errorf("freeze: %v, frozen %v", err, g.frozen())
	}
	if g.keep.field("cgroup.events", "frozen") != 0 {
		t.Error("what is kept was frozen too")
	}
	if err := g.freeze(false); err != nil || g.frozen() {
		t.Errorf("thaw: %v, frozen %v", err, g.frozen())
	}
	if len(g.procs()) != 2 {
		t.Errorf("it has %v", g.procs())
	}
}

// born starts a script in the group, and kills it after the test.
func born(t *testing.T, g group, script string, third *os.File) int {
	t.Helper()
	c := exec.Command("sh", "-c", script)
	if third != nil {
		c.ExtraFiles = []*os.File{third}
	}
	err := g.spawn(func(attr *syscall.SysProcAttr) error { c.SysProcAttr = attr; return c.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c.Process.Pid
}

func FuzzSuperblock(f *testing.F) {
	f.Add(make([]byte, 2048))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		s, err := readSuperblock(file)
		if err != nil {
			return
		}
		if used, size, inodes, maxInodes := s.room(); used < 0 || size < 0 || inodes < 0 || used > size || inodes > maxInodes {
			t.Errorf("%+v has room %d of %d, %d of %d", s, used, size, inodes, maxInodes)
		}
	})
}
