package e2e

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// class is how many sites the benchmark makes: what a teacher may have.
const class = 20

// BenchmarkSchool measures the whole product as a person meets it: through the panel and the proxy, with PHP sites.
// One round is enough for medians of twenty; the figures go to BENCHMARKS.md.
func BenchmarkSchool(b *testing.B) {
	for b.Loop() {
		school(b)
	}
}

func school(b *testing.B) {
	dir, err := os.MkdirTemp("", "petitpont-bench")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	d, err := newDemo(filepath.Join(dir, "data"))
	if err != nil {
		b.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	v := &visitor{demo: d, client: &http.Client{Jar: jar, Timeout: time.Minute, Transport: transport(false)}}
	defer func() { _ = v.end() }()
	report(b, "demo-start-ms", one(b, d.Start))
	create := v.createClass(b)
	if err := d.Stop(); err != nil { // everything is asleep now
		b.Fatal(err)
	}
	if err := d.Start(); err != nil {
		b.Fatal(err)
	}
	if err := v.visit(0); err != nil { // reads the template from the disk once
		b.Fatal(err)
	}
	cold := make([]time.Duration, class)
	for i := 1; i < class; i++ {
		cold[i] = one(b, func() error { return v.visit(i) })
	}
	warm := make([]time.Duration, 2000)
	for i := range warm {
		warm[i] = one(b, func() error { return v.visit(0) })
	}
	report(b, "create-to-200-ms", create...)
	report(b, "cold-to-200-ms", cold[1:]...)
	report(b, "awake-request-ms", warm...)
	b.ReportMetric(0, "ns/op") // one round is twenty creations and more: its sum says nothing
}

// createClass signs a teacher in and creates the sites one by one, each until its page has come.
func (v *visitor) createClass(b *testing.B) []time.Duration {
	if code, _, err := v.post(v.url("/login"), url.Values{"login": {"prof"}, "password": {"petitpont"}}); err != nil || code != http.StatusOK {
		b.Fatalf("sign in: %d %v", code, err)
	}
	took := make([]time.Duration, class)
	for i := range class {
		took[i] = one(b, func() error {
			code, page, err := v.post(v.url("/new"), url.Values{"name": {fmt.Sprintf("bench-%d", i)}})
			if err != nil || code != http.StatusOK {
				return fmt.Errorf("create: %d %w\n%s", code, err, words(page))
			}
			return v.visit(i)
		})
	}
	return took
}

// visit asks the i-th site for its page, as curl would: it waits while the site is made or wakes.
func (v *visitor) visit(i int) error {
	req, err := http.NewRequest(http.MethodGet, v.url(fmt.Sprintf("bench-%d:/", i)), nil)
	if err != nil {
		return err
	}
	res, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("visit: %s", res.Status)
	}
	return nil
}

func one(b *testing.B, f func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func report(b *testing.B, name string, took ...time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, name)
}
