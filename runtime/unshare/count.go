package unshare

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Tally counts what an instance has in the kernel and on the disk. Tests compare two of them to find leaks.
type Tally struct {
	Sites     int // folders below D/sites, also half-made and half-removed ones
	Boxes     int // folders below R/boxes
	Cgroups   int
	Processes int // in those cgroups; with them go their namespaces
	Loops     int // loop devices that carry our label
	Mounts    int // mounts of those devices or of our folders in the host's table: there should never be one
	Links     int // veth ends and bridges on the host
	Tables    int // of nftables
}

// Count looks for everything that carries the label of an instance (RULE OWN).
func Count(c Config) (Tally, error) {
	var t Tally
	var errs []error
	note := func(n int, err error) int { errs = append(errs, err); return n }
	t.Sites = note(countDir(filepath.Join(c.Data, "sites"), ""))
	t.Boxes = note(countDir(filepath.Join(c.Run, "boxes"), ""))
	t.Links = note(countDir("/sys/class/net", c.Instance+"-"))
	t.Links += note(countDir("/sys/class/net", c.Instance+"_"))
	t.Mounts = note(countMounts(c))
	t.Tables = note(countTables(c.Instance))
	for _, label := range loops() {
		if strings.HasPrefix(label, c.Instance+":") {
			t.Loops++
		}
	}
	h, err := openHierarchy(c.Instance)
	if err != nil {
		return t, errors.Join(append(errs, err)...)
	}
	ids, err := h.list()
	for _, id := range ids {
		t.Processes += len(h.open(id).procs())
	}
	t.Cgroups = len(ids)
	return t, errors.Join(append(errs, err)...)
}

func countDir(dir, prefix string) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	n := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			n++
		}
	}
	return n, nil
}

func countMounts(c Config) (int, error) {
	all, err := mountinfo.GetMounts(nil)
	if err != nil {
		return 0, fmt.Errorf("read mounts: %w", err)
	}
	own, n := loops(), 0
	for _, m := range all {
		if strings.HasPrefix(own[m.Source], c.Instance+":") || strings.HasPrefix(m.Mountpoint, c.Data+"/") || strings.HasPrefix(m.Mountpoint, c.Run+"/") {
			n++
		}
	}
	return n, nil
}

func countTables(instance string) (int, error) {
	out, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		return 0, fmt.Errorf("nft: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 && f[2] == instance {
			n++
		}
	}
	return n, nil
}
