package site_test

import (
	"os"
	"slices"
	"testing"

	"petitpont/runtime"
	"petitpont/site"
)

func TestAll(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"charlie", "alpha", "bravo"} {
		w.make(name)
	}
	_, err := w.v.Create(w.ctx(), w.who("prof"), site.New{Name: "delta"})
	w.ok(err)
	w.until("delta", site.Awake)
	w.ok(w.v.Stop(w.ctx(), w.who("eleve"), "bravo"))
	w.until("bravo", site.Asleep)

	names := func(q site.Query) []string {
		t.Helper()
		p, err := w.v.All(w.ctx(), w.who("admin"), q)
		w.ok(err)
		var all []string
		for _, r := range p.Rows {
			all = append(all, r.Name)
		}
		return all
	}
	for name, c := range map[string]struct {
		q    site.Query
		want []string
	}{
		"all by name":                    {site.Query{}, []string{"alpha", "bravo", "charlie", "delta"}},
		"backwards":                      {site.Query{Sort: "name", Desc: true}, []string{"delta", "charlie", "bravo", "alpha"}},
		"by owner, then name":            {site.Query{Sort: "owner", Desc: true}, []string{"delta", "alpha", "bravo", "charlie"}},
		"by creation":                    {site.Query{Sort: "created"}, []string{"charlie", "alpha", "bravo", "delta"}},
		"an unknown order is by name":    {site.Query{Sort: "1; DROP TABLE"}, []string{"alpha", "bravo", "charlie", "delta"}},
		"by state":                       {site.Query{Sort: "state"}, []string{"bravo", "alpha", "charlie", "delta"}},
		"part of a name":                 {site.Query{Text: "LPH"}, []string{"alpha"}},
		"part of an owner's login":       {site.Query{Text: " pro "}, []string{"delta"}},
		"nothing":                        {site.Query{Text: "zzz"}, nil},
		"a state":                        {site.Query{State: "awake"}, []string{"alpha", "charlie", "delta"}},
		"put down by its owner":          {site.Query{State: "stopped"}, []string{"bravo"}},
		"the second page":                {site.Query{Page: 2, Size: 3}, []string{"delta"}},
		"a page past the end":            {site.Query{Page: 9, Size: 3}, nil},
		"page and size below one":        {site.Query{Page: -1, Size: -1}, []string{"alpha", "bravo", "charlie", "delta"}},
		"by memory: what runs uses more": {site.Query{Sort: "memory", Size: 1}, []string{"bravo"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := names(c.q); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	t.Run("total and counts are of all pages, and rows show what they use", func(t *testing.T) {
		p, err := w.v.All(w.ctx(), w.who("admin"), site.Query{State: "awake", Size: 1})
		w.ok(err)
		if p.Total != 3 || p.Counts[site.Awake] != 3 || p.Counts[site.Asleep] != 1 || p.Rows[0].Usage.Memory == 0 {
			t.Errorf("%+v", p)
		}
	})
	t.Run("only an admin sees them", func(t *testing.T) {
		_, err := w.v.All(w.ctx(), w.who("prof"), site.Query{})
		w.code(err, site.CodeForbidden)
	})
	t.Run("a runtime that is down leaves the rows without figures", func(t *testing.T) {
		w.driver.Fail("usage", runtime.ErrDown)
		defer w.driver.Fail("usage", nil)
		p, err := w.v.All(w.ctx(), w.who("admin"), site.Query{Sort: "disk"})
		w.ok(err)
		if len(p.Rows) != 4 || p.Rows[0].Usage != (runtime.Usage{}) {
			t.Errorf("%+v", p.Rows)
		}
		_, err = w.v.Usage(w.ctx(), w.who("eleve"), "alpha")
		w.code(err, site.CodeRuntimeDown)
	})
}

func TestHost(t *testing.T) {
	w := newWorld(t, func(c *site.Config) { c.ReadHost = nil })
	w.make("blog")
	h, err := w.v.Host(w.ctx())
	w.ok(err)
	if h.Memory <= 0 || h.MemoryMax <= h.Memory || h.Disk <= 0 || h.DiskMax <= h.Disk || h.Awake != 1 || h.RuntimeDown {
		t.Errorf("%+v", h)
	}
	w.driver.Fail("templates", runtime.ErrDown)
	if h, err = w.v.Host(w.ctx()); err != nil || !h.RuntimeDown {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := site.ReadHost("/no/such/folder"); !os.IsNotExist(err) && err == nil {
		t.Errorf("got %v", err)
	}
}

func TestRoute(t *testing.T) {
	w := newWorld(t)
	s := w.make("blog")
	if got, ok := w.v.Route("BLOG.localhost.:8080"); !ok || got.ID != s.ID {
		t.Errorf("got %v, %v", got.ID, ok)
	}
	for _, host := range []string{"other.localhost", "localhost", "blog", "a.blog.localhost", "", "blog.localhost.evil"} {
		if _, ok := w.v.Route(host); ok {
			t.Errorf("%q found a site", host)
		}
	}
	w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
	w.retry("it is gone", func() bool { _, ok := w.v.Route("blog.localhost"); return !ok })
}

func TestCheckNameAndSuggest(t *testing.T) {
	w := newWorld(t)
	if clean, err := w.v.CheckName(w.ctx(), w.who("eleve"), " École "); err != nil || clean != "ecole" {
		t.Errorf("%q, %v", clean, err)
	}
	first := w.v.Suggest(w.who("eleve"))
	if first != "eleve" {
		t.Errorf("first suggestion %q", first)
	}
	w.make(first)
	second := w.v.Suggest(w.who("eleve"))
	if clean, err := w.v.CheckName(w.ctx(), w.who("eleve"), second); err != nil || clean != second || second == first {
		t.Errorf("second suggestion %q: %q, %v", second, clean, err)
	}
}
