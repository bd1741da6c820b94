package app_test

import (
	"fmt"
	"strings"
	"testing"

	"petitpont/site"
)

func school(t *testing.T) (*panel, *browser) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	p.sites.Put("prof", "cours", site.Failed, func(s *site.Site) {
		s.Fault = &site.Fault{Code: site.CodeSiteMemory, Args: site.Args{"s": "cours", "m": "256 MiB"}}
	})
	for i := range 60 {
		p.sites.Put("asso", fmt.Sprintf("club-%02d", i), site.Asleep, nil)
	}
	return p, p.signedIn("admin")
}

func TestAdminSeesWhatNeedsCare(t *testing.T) {
	p, b := school(t)
	b.get("/admin").want(t, 200, "To do", "cours", "used more than 256 MiB", "15\u00a0GB of 24\u00a0GB", "62 sites in all", "1 of 62", `href="/admin/sites?state=failed"`)
	p.sites.SetHost(func(h *site.Host) { h.RuntimeDown = true })
	b.get("/admin").want(t, 200, "The service that runs the sites is not answering.").lacks(t, "Nothing to do.")
}

// On somebody else's site an administrator is not among their own.
func TestAdminOnAForeignSiteIsInAdministration(t *testing.T) {
	p, b := school(t)
	p.sites.Put("admin", "intranet", site.Awake, nil)
	for path, here := range map[string]string{"/s/blog": "Administration", "/s/blog/stop": "Administration", "/s/intranet": "My sites"} {
		b.get(path).want(t, 200, `aria-current="page">`+here+"</a>")
	}
}

func TestAdminWithNothingToDo(t *testing.T) {
	newPanel(t).signedIn("admin").get("/admin").want(t, 200, "Nothing to do.")
}

func TestAdminSeesEverySite(t *testing.T) {
	_, b := school(t)
	b.get("/admin/sites").want(t, 200, "blog", "eleve", "Online", "1 to 50 of 62 sites", "Page 1 of 2", `href="/admin/sites?page=2"`)
	b.get("/admin/sites?page=2&sort=name").want(t, 200, "51 to 62 of 62 sites", "Page 2 of 2", `href="/admin/sites?sort=name"`)
}

func TestAdminSearchesFiltersAndSorts(t *testing.T) {
	_, b := school(t)
	b.get("/admin/sites?q=eleve").want(t, 200, `href="/s/blog"`, ">1 site<", `value="eleve"`).lacks(t, `href="/s/cours"`)
	b.get("/admin/sites?state=failed").want(t, 200, `href="/s/cours"`, `<option value="failed" selected>`).lacks(t, `href="/s/blog"`)
	b.get("/admin/sites?q=nothing").want(t, 200, "No site matches.", "Clear filters")
	up := b.get("/admin/sites?sort=owner&q=o").want(t, 200, `aria-sort="ascending"`, `href="/admin/sites?q=o&amp;sort=-owner"`)
	down := b.get("/admin/sites?sort=-owner&q=o").want(t, 200, `aria-sort="descending"`, `href="/admin/sites?q=o&amp;sort=owner"`)
	if first(up.body) == first(down.body) {
		t.Errorf("both orders begin with %q", first(up.body))
	}
}

// first is the name in the first row.
func first(body string) string {
	_, rest, _ := strings.Cut(body, `<tr id="row-`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

func TestEmptyListSaysSo(t *testing.T) {
	newPanel(t).signedIn("admin").get("/admin/sites").want(t, 200, "No site has been created yet.")
}

func TestStrangePagesAreTheFirst(t *testing.T) {
	_, b := school(t)
	for _, page := range []string{"0", "-3", "x", "999999999999999999999"} {
		b.get("/admin/sites?page="+page).want(t, 200, "1 to 50 of 62 sites")
	}
}

func TestAdminActsOnAnySite(t *testing.T) {
	p, b := school(t)
	b.get("/s/blog").want(t, 200, "sftp -P 2222 admin+blog@localhost", `href="/admin/sites"`).lacks(t, "sftp -P 2222 admin@localhost")
	b.post("/s/blog/restart", "next", "/admin/sites?q=blog").goesTo(t, "/admin/sites?q=blog")
	b.post("/s/blog/stop", "next", "/admin/sites").goesTo(t, "/admin/sites")
	b.get("/s/blog/delete?next=%2Fadmin%2Fsites").want(t, 200, "This site belongs to eleve.")
	b.post("/s/blog/delete", "confirm", "blog", "next", "/admin/sites").goesTo(t, "/admin/sites")
	calls := strings.Join(p.sites.Calls(), ", ")
	for _, want := range []string{"Restart blog", "Stop blog", "Delete blog"} {
		if !strings.Contains(calls, want) {
			t.Errorf("%q lacks %q", calls, want)
		}
	}
}

func TestNobodyElseSeesTheLists(t *testing.T) {
	p, _ := school(t)
	for _, login := range []string{"eleve", "prof", "asso"} {
		b := p.signedIn(login)
		p.sites.Calls()
		b.get("/admin").want(t, 404).lacks(t, "Capacity")
		b.get("/admin/sites").want(t, 404).lacks(t, "cours")
		b.get("/").lacks(t, `href="/admin"`)
		if calls := strings.Join(p.sites.Calls(), " "); strings.Contains(calls, "All") || strings.Contains(calls, "Host") {
			t.Errorf("the heart was asked: %s", calls)
		}
	}
}
