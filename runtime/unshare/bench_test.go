package unshare

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkAnswer measures what NUMBERS calls create to 200 and cold start to 200, and the ways back.
func BenchmarkAnswer(b *testing.B) {
	for name, services := range map[string][]string{"nginx": {"nginx"}, "nginx+php": {"php", "nginx"}} {
		b.Run(name, func(b *testing.B) {
			r := open(b)
			path := "/"
			if len(services) == 1 {
				path = "/plain.html"
			}
			var create, cold, frozen, stop, destroy []time.Duration
			for i := 0; b.Loop(); i++ {
				s := spec(b, i%50)
				s.Services = services
				began := time.Now()
				r.create(b, s)
				addr := r.start(b, s.ID)
				if len(services) > 1 {
					want200(b, addr.String()+path)
				}
				create = append(create, time.Since(began)) // nginx alone has no page yet: its first answer counts
				r.sh(b, s.ID, "echo hello > /home/site/www/plain.html", false)
				stop = append(stop, timed(func() { r.stop(b, s.ID) }))
				cold = append(cold, timed(func() { r.start(b, s.ID); want200(b, addr.String()+path) }))
				if err := r.Freeze(b.Context(), s.ID); err != nil {
					b.Fatal(err)
				}
				frozen = append(frozen, timed(func() {
					if err := r.Thaw(b.Context(), s.ID); err != nil {
						b.Fatal(err)
					}
					want200(b, addr.String()+path)
				}))
				destroy = append(destroy, timed(func() { r.destroy(b, s.ID) }))
			}
			for what, d := range map[string][]time.Duration{"create": create, "cold": cold, "frozen": frozen, "stop": stop, "destroy": destroy} {
				slices.Sort(d)
				b.ReportMetric(float64(d[len(d)/2].Microseconds())/1000, what+"-ms")
			}
		})
	}
}

func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

func (r *rig) stop(t testing.TB, id string) {
	t.Helper()
	if err := r.Stop(t.Context(), id, 5*time.Second); err != nil {
		t.Fatal(err)
	}
}

func want200(t testing.TB, url string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	res, err := c.Get("http://" + url)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("GET %s: %s", url, res.Status))
	}
}
