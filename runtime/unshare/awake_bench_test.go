package unshare

import (
	"bufio"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// measured are the sites of NUMBERS's table.
var measured = []stack{{"nginx", "none", "none"}, {"nginx", "php", "none"}, {"nginx", "php", "mariadb"}, {"nginx", "php", "postgresql"}}

// BenchmarkCreate measures the time from nothing to the first page of each, and from asleep: medians. The page of a
// site with a database holds a row of it.
func BenchmarkCreate(b *testing.B) {
	for _, s := range measured {
		b.Run(s.String(), func(b *testing.B) {
			r := open(b)
			var create, wake []time.Duration
			for i := 0; b.Loop(); i++ {
				one := s.of(spec(b, i%50))
				create = append(create, timed(func() {
					r.create(b, one)
					firstPage(b, r.start(b, one.ID).String())
				}))
				r.stop(b, one.ID)
				wake = append(wake, timed(func() { firstPage(b, r.start(b, one.ID).String()) }))
				r.destroy(b, one.ID)
			}
			b.ReportMetric(milliseconds(create), "create-ms")
			b.ReportMetric(milliseconds(wake), "wake-ms")
		})
	}
}

func firstPage(b *testing.B, addr string) {
	b.Helper()
	if status, page := get(b, addr, "/?lang=en", nil); status != http.StatusOK || strings.Contains(page, "does not answer") {
		b.Fatal(status, page)
	}
}

func milliseconds(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}

// BenchmarkAwake measures what a hundred awake sites take of the host's available memory, caches dropped before and
// after, each asked once. Other work on the machine shows in it: the cgroups' own sum is beside it.
func BenchmarkAwake(b *testing.B) {
	const sites = 100
	for _, s := range measured {
		b.Run(s.String(), func(b *testing.B) {
			var drop, own []float64
			for b.Loop() {
				if len(drop) > 0 {
					continue // a hundred sites are a mean already
				}
				r := open(b)
				warm := s.of(spec(b, sites)) // what all share is not counted
				r.create(b, warm)
				firstPage(b, r.start(b, warm.ID).String())
				var ids []string
				for i := range sites {
					one := s.of(spec(b, i))
					r.create(b, one)
					ids = append(ids, one.ID)
				}
				before := available(b)
				for _, id := range ids {
					firstPage(b, r.start(b, id).String())
				}
				drop = append(drop, float64(before-available(b))/sites/(1<<20))
				var sum int64
				for _, id := range ids {
					u, err := r.Usage(b.Context(), id)
					if err != nil {
						b.Fatal(err)
					}
					sum += u.Memory
				}
				own = append(own, float64(sum)/sites/(1<<20))
				for _, id := range append(ids, warm.ID) {
					r.destroy(b, id)
				}
			}
			slices.Sort(drop)
			slices.Sort(own)
			b.ReportMetric(drop[len(drop)/2], "MiB/site")
			b.ReportMetric(own[len(own)/2], "MiB-cgroup/site")
		})
	}
}

// available is MemAvailable in bytes, once the caches are dropped.
func available(b *testing.B) int64 {
	b.Helper()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kib, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n << 10
		}
	}
	b.Fatal("no MemAvailable")
	return 0
}
