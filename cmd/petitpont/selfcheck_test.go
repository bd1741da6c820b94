package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"petitpont/runtime/unshare/network"
)

// TestTwoInstallationsCheckThemselvesSideBySide holds everything of a check that is the machine's apart from that of
// another one: its label in the kernel, its run folder, its users.
func TestTwoInstallationsCheckThemselvesSideBySide(t *testing.T) {
	type check struct {
		instance, run string
		uids          uint32
	}
	of := func(instance string) check {
		t.Helper()
		c := defaultConfig()
		c.Instance, c.Data, c.Run = instance, t.TempDir(), filepath.Join("/run", instance)
		own, err := checkConfig(c, netip.MustParsePrefix(checkBlocks[0]))
		if err != nil {
			t.Fatal(err)
		}
		return check{own.Instance, own.Run, checkUIDs(instance)}
	}
	one, other := of("petitpont"), of("club")
	if one.instance == other.instance || one.run == other.run || max(one.uids, other.uids)-min(one.uids, other.uids) < 2*65536 {
		t.Errorf("%+v and %+v share something", one, other)
	}
	if again := of("petitpont"); again != one {
		t.Errorf("%+v, and the next time %+v: what a killed one leaves is not found", one, again)
	}
}

func TestACheckIsNobodysInstance(t *testing.T) {
	for i := range 1000 {
		c := defaultConfig()
		c.Instance = checkInstance(fmt.Sprint("i", i))
		if err := c.check(); err == nil {
			t.Fatalf("a site's runtime may be called %s too", c.Instance)
		}
		segments, err := c.segments()
		if err != nil {
			t.Fatal(err)
		}
		if err := (network.Config{Instance: c.Instance, Segments: segments}).Check(); err != nil {
			t.Fatal(err)
		}
		if last := uint64(checkUIDs(c.Instance)) + 2*65536; last > 1<<32-1 {
			t.Fatalf("its users end at %d", last)
		}
	}
}
