package sshgate

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// idlers is how many people are logged in at once and do nothing.
const idlers = 500

// BenchmarkIdleConnections measures what connections cost the gate on which nothing happens, after their login: the
// growth of its process, garbage of the key exchanges included.
func BenchmarkIdleConnections(b *testing.B) {
	for b.Loop() {
		gate, _ := startVictim(b, "nothing")
		gate.login("first") // what is there once
		before := resident(b, gate.pid)
		for i := range idlers {
			gate.login(fmt.Sprint("idler", i))
		}
		b.ReportMetric(float64(resident(b, gate.pid)-before)/idlers, "KiB/connection")
	}
	b.ReportMetric(0, "ns/op") // the logins' time belongs to both ends
}

var rss = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// resident is the memory of a process, in KiB.
func resident(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	found := rss.FindSubmatch(text)
	if found == nil {
		b.Fatalf("no VmRSS of %d", pid)
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		b.Fatal(err)
	}
	return kib
}
