package unshare

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"petitpont/runtime"
)

//go:embed testdata/bombs.py
var bombs string

// BenchmarkNeighbour measures what visitors of one site notice while another one runs every bomb at once (S15 to S22, G9):
// answers are asked for at a fixed pace, whether or not the last one has come. It takes 40 s however often it is run:
//
//	go test -run '^$' -bench Neighbour -benchtime 1x ./runtime/unshare
func BenchmarkNeighbour(b *testing.B) {
	r := open(b)
	victim, attacker := spec(b, 1), spec(b, 2)
	attacker.Limits.CPU = 1000 // what every plan has
	addr := r.running(b, victim)
	r.running(b, attacker)
	url := fmt.Sprintf("http://%s/", addr)
	visits(url, time.Second) // warm
	calm := visits(url, 10*time.Second)
	neighbour, err := r.Network.Addr(victim.Segment, victim.Slot)
	if err != nil {
		b.Fatal(err)
	}
	gateway := neighbour.V4.Prev() // some address of the block; the host is behind each
	p, err := r.Exec(b.Context(), attacker.ID, runtime.Cmd{Argv: []string{"python3", "-c", bombs, gateway.String(), neighbour.V4.String()}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	until(b, "the bombs go off", func() bool {
		u, err := r.Usage(b.Context(), attacker.ID)
		return err == nil && u.Procs >= attacker.Limits.Procs-4
	})
	under := visits(url, 20*time.Second)
	began := time.Now()
	r.stop(b, attacker.ID)
	stopped := time.Since(began)
	for b.Loop() { // the figures are those of the visits
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(calm.quantile(0.5), "calm-p50-ms")
	b.ReportMetric(calm.quantile(0.99), "calm-p99-ms")
	b.ReportMetric(under.quantile(0.5), "bombs-p50-ms")
	b.ReportMetric(under.quantile(0.99), "bombs-p99-ms")
	b.ReportMetric(under.quantile(0.99)/calm.quantile(0.99), "p99-ratio")
	b.ReportMetric(float64(calm.failed+under.failed), "failed")
	b.ReportMetric(float64(stopped.Milliseconds()), "stop-ms")
}

// seen is how long answers took, in milliseconds.
type seen struct {
	took   []float64
	failed int
}

func (s seen) quantile(q float64) float64 {
	if len(s.took) == 0 {
		return 0
	}
	slices.Sort(s.took)
	return s.took[min(int(float64(len(s.took))*q), len(s.took)-1)]
}

// visits asks 50 times a second, each time by a new connection.
func visits(url string, long time.Duration) seen {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	var all seen
	var mu sync.Mutex
	var wg sync.WaitGroup
	for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		wg.Go(func() {
			began := time.Now()
			res, err := client.Get(url)
			if err == nil {
				_ = res.Body.Close()
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil || res.StatusCode != http.StatusOK {
				all.failed++
				return
			}
			all.took = append(all.took, float64(time.Since(began).Microseconds())/1000)
		})
	}
	wg.Wait()
	return all
}
