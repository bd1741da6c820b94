package unshare

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// What a site may open belongs to its plan: it holds from the start, is changed while the site runs, and a runtime that
// has not started the site knows it. That the kernel counts by it is shown in package network.
func TestConnectionsAreHeldLive(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Limits.Connections, s.Limits.Rate = 60, 30
	addr := r.running(t, s)
	own, err := r.net.Addr(s.Segment, s.Slot)
	if err != nil {
		t.Fatal(err)
	}
	held := func(rate, connections int) {
		t.Helper()
		out, err := exec.Command("nft", "list", "map", "inet", r.Instance, "budget").Output()
		want := fmt.Sprintf("%s : goto own_%s_%d_%d_%d", own.MAC, s.Segment[:1], rate, 4*rate, connections)
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("want %q, got %v: %s", want, err, out)
		}
	}
	held(30, 60)
	l := s.Limits
	l.Connections = 90
	r.hold(t, s.ID, l)
	held(30, 90)
	r.leaveAndReturn(t, func() {})
	held(30, 90)
	r.stop(t, s.ID)
	l.Rate, l.Connections = 0, 0 // as the segment has it
	r.hold(t, s.ID, l)
	r.start(t, s.ID)
	if out, err := exec.Command("nft", "list", "map", "inet", r.Instance, "budget").Output(); err != nil || strings.Contains(string(out), own.MAC.String()) {
		t.Errorf("after it follows its segment again: %v: %s", err, out)
	}
	answers(t, addr)
	l.Connections = -1
	if err := r.SetLimits(t.Context(), s.ID, l); err == nil {
		t.Error("fewer connections than none")
	}
}
