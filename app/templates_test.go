package app_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"petitpont/runtime"
	"petitpont/site"
)

// shelved is a panel with a draft, a failed one, a published one, and an older one with three sites.
func shelved(t *testing.T) (*panel, *browser) {
	p := newPanel(t)
	at := p.clock().Add(-time.Hour)
	version := func(v string) site.TemplateVersion {
		return site.TemplateVersion{Version: runtime.Version{Template: runtime.Template{Name: "web", Version: v, BuiltAt: at, Bytes: 1 << 30}, TestedAt: at}}
	}
	draft, failed, newest, old := version("20261120-2"), version("20261120-1"), version("20261119-1"), version("20261118-1")
	failed.TestedAt, failed.Fault = time.Time{}, "nothing listens <b>on port 80</b>"
	newest.Newest, newest.Published, newest.Behind, newest.Pinned = true, true, 3, []string{"new"}
	old.Published, old.Pinned = true, []string{"alpha", "bravo", "charlie"}
	p.sites.SetTemplates(func(x *site.Templates) { x.Versions = []site.TemplateVersion{draft, failed, newest, old} })
	return p, p.signedIn("admin")
}

func TestTemplatesShowEveryStage(t *testing.T) {
	_, b := shelved(t)
	b.get("/admin/templates").want(t, 200, "web@20261120-2", "Draft", "Passed 1\u00a0h ago", "Published, default", "1\u00a0GB", "Failed",
		"nothing listens &lt;b&gt;on port 80", "Update 3 sites…", `href="/admin/templates/move?name=web&amp;version=20261119-1"`, `href="/s/bravo"`,
		`aria-label="Publish web@20261120-2"`, `aria-current="page">Templates</a>`).
		lacks(t, `aria-label="Publish web@20261120-1"`, `aria-label="Publish web@20261119-1"`)
}

func TestTemplateVerbsWithoutScripts(t *testing.T) {
	p, b := shelved(t)
	p.sites.Calls()
	for verb, says := range map[string]string{"test": "Test of web@20261120-2 started.", "publish": "web@20261120-2 is published.", "retire": "web@20261120-2 is withdrawn.", "move": "Update to web@20261120-2 started: 2 waiting"} {
		b.post("/admin/templates/"+verb, "name", "web", "version", "20261120-2").goesTo(t, "/admin/templates")
		b.get("/admin/templates").want(t, 200, says)
	}
	b.post("/admin/templates/build", "name", "web").goesTo(t, "/admin/templates")
	b.get("/admin/templates").want(t, 200, "Build of web started.", "Building web", "Downloading packages", "step-running", "every 2s")
	calls := strings.Join(p.sites.Calls(), ", ")
	for _, want := range []string{"TestTemplate", "PublishTemplate", "RetireTemplate", "MoveSites"} {
		if !strings.Contains(calls, want+" web@20261120-2") {
			t.Errorf("%s lacks %s", calls, want)
		}
	}
}

func TestTemplateQuestions(t *testing.T) {
	p, b := shelved(t)
	b.get("/admin/templates/move?name=web&version=20261119-1").want(t, 200, "Update 3 sites to web@20261119-1?", "alpha", `action="/admin/templates/move"`, "No site is interrupted")
	p.sites.SetTemplates(func(x *site.Templates) {
		x.Waves = []site.WaveState{{Wave: site.Wave{Template: "web", Version: "20261119-1"}, Kept: []string{"alpha", "bravo"}, Waiting: []string{"charlie"}}}
	})
	b.get("/admin/templates/move?name=web&version=20261119-1").want(t, 200, "Update 1 site to web@20261119-1?", "charlie").lacks(t, "alpha")
	b.get("/admin/templates").want(t, 200, "Waiting for their next start (1)", "because their packages were changed (2)")
	p.sites.SetTemplates(func(x *site.Templates) {
		x.Waves[0].Kept = []string{"alpha"}
		x.Waves[0].Failed = []site.FailedMove{{Name: "bravo", Fault: &site.Fault{Code: site.CodeServerEnded, Args: site.Args{"s": "bravo"}, Log: "no <module>"}}}
	})
	b.get("/admin/templates").want(t, 200, "because their packages were changed (1)", "Did not start on this version and are back on their own, where they start (1)", "no &lt;module&gt;")
	b.get("/admin/templates/move?name=web&version=20261119-1").want(t, 200, "Update 1 site to web@20261119-1?", "charlie").lacks(t, "alpha", "bravo")
	b.get("/admin/templates/retire?name=web&version=20261118-1").want(t, 200, "Sites still use it (3)", "charlie").lacks(t, `action="/admin/templates/retire"`)
	b.get("/admin/templates/retire?name=web&version=20261120-2").want(t, 200, "Withdraw version web@20261120-2?", `action="/admin/templates/retire"`)
	b.part("GET", "/admin/templates/retire?name=web&version=20261120-2", "/admin/templates").want(t, 200, `id="dialog-title"`, `hx-post="/admin/templates/retire"`).lacks(t, "<html")
	for _, made := range []string{"name=web&version=1", "name=%3Cscript%3E&version=x", ""} {
		b.get("/admin/templates/move?"+made).want(t, 404).lacks(t, "<script>@")
	}
}

func TestTemplateRefusalsAreSaid(t *testing.T) {
	p, b := shelved(t)
	p.sites.Fail("RetireTemplate", &site.Error{Code: site.CodeTemplateUsed, Args: site.Args{"v": "web@1", "n": "2", "sites": "alpha, bravo"}})
	b.post("/admin/templates/retire", "name", "web", "version", "1").want(t, 409, "web@1 is still in use (2): alpha, bravo. The version was not withdrawn.", `name="next" value="/admin/templates"`)
	b.part("POST", "/admin/templates/retire", "/admin/templates", "name", "web", "version", "1").want(t, 409, "alpha, bravo").lacks(t, "<html")
	p.sites.Fail("Templates", &site.Error{Code: site.CodeRuntimeDown})
	b.get("/admin/templates").want(t, 503, "is not answering")
}

func TestAFailedBuildSaysWhy(t *testing.T) {
	p, b := shelved(t)
	p.sites.SetTemplates(func(x *site.Templates) {
		x.Work = &site.Work{Template: "web", Ended: p.clock(), Fault: &site.Fault{Code: site.CodeTemplateBuild, Args: site.Args{"t": "web"}, Ref: "7F3A-21", Log: "E: <i>no mirror"}}
	})
	b.get("/admin/templates").want(t, 200, "The build of web failed. Nothing of it was kept", "7F3A-21", "E: &lt;i&gt;no mirror", "every 5s")
}

func TestFirstTemplate(t *testing.T) {
	newPanel(t).signedIn("admin").get("/admin/templates").want(t, 200, "No version has been built yet.", `action="/admin/templates/build"`)
}

func TestHealthPage(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("admin")
	h := site.Health{
		Parts: []site.Part{
			{Name: "directory", Err: &site.Error{Code: site.CodeDirectoryDown, Err: errors.New("connection refused")}},
			{Name: "runtime", Took: 12 * time.Millisecond},
			{Name: "gate", Err: errors.New("<b>refused")},
			{Name: "proxy"},
			{Name: "register"},
			{Name: "storage"},
		},
		Storage: site.Storage{Ledger: runtime.Ledger{Promised: 300 << 30, Used: 320 << 30, Volume: 450 << 30, Reserve: 1 << 30, Free: 129 << 30}},
	}
	p.sites.SetHealth(h)
	b.get("/admin/health").want(t, 200, "Directory", "The school directory is not answering", "(connection refused)", "in 12\u00a0ms", "&lt;b&gt;refused",
		"300\u00a0GB promised to sites, 320\u00a0GB in use, 1\u00a0GB in reserve, of 450\u00a0GB. 129\u00a0GB can still be promised.", "Has room", "It has not been run yet", `aria-current="page">Health</a>`)
	h.Storage.Short, h.Storage.Free = true, -5<<30
	h.Selfcheck = &site.Selfcheck{Time: p.clock(), Version: "1.2", OK: true, Probes: []site.Probe{
		{Name: "keyctl", About: "<script>", Protection: "seccomp", Root: "blocked", Web: "blocked"},
	}}
	p.sites.SetHealth(h)
	b.get("/admin/health").want(t, 200, "Full", "5\u00a0GB are missing: no site can be created or enlarged.", "All 1 attacks were blocked.", "keyctl", "&lt;script&gt;", "Blocked", "version 1.2").lacks(t, ">Open<", "<script>\n")
	h.Selfcheck.OK = false
	h.Selfcheck.Probes = append(h.Selfcheck.Probes, site.Probe{Name: "raw", Root: "open", Web: "error", RootGot: "<em>a socket"}, site.Probe{Name: "x", Root: "", Web: "later"})
	p.sites.SetHealth(h)
	b.get("/admin/health").want(t, 200, "Attacks that were not blocked: 1 of 3.", "Open", "Error", "Not tried", "Not applicable", `Technical detail: <span lang="en">&lt;em&gt;a socket</span>`)
	b.do(request{method: "GET", path: "/admin/health", header: []string{"Accept-Language", "fr"}}).want(t, 200, "Détail technique\u00a0: <span lang=\"en\">&lt;em&gt;a socket</span>")
	h.Selfcheck, h.Unread = nil, errors.New("unexpected end")
	p.sites.SetHealth(h)
	b.get("/admin/health").want(t, 200, "could not be read: unexpected end")
}

func TestWhatBelongsToNoSite(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	b := p.signedIn("admin")
	b.get("/admin/health").want(t, 200).lacks(t, "What belongs to no site", "earlier settings")
	p.sites.SetHealth(site.Health{Stale: []string{"blog"}, Lost: site.Lost{
		Containers: []runtime.Info{{ID: "k3j2h1g9f8", Slot: 41, Template: "web@1"}},
		Leftovers:  []runtime.Stray{{Kind: runtime.StrayFolder, Name: "/data/<b>x"}, {Kind: runtime.StrayLoop, Name: "/dev/loop7"}},
	}})
	b.get("/admin/health").want(t, 200, "What belongs to no site", "k3j2h1g9f8", "an unknown site, slot 41, web@1", "/data/&lt;b&gt;x", "/dev/loop7",
		"whose record (spec.json) cannot be read", "Restart petitpont runtime", "Type k3j2h1g9f8 to confirm", "Sites that run with earlier settings (1)", `href="/s/blog"`)
	b.post("/admin/health/strays/k3j2h1g9f8", "typed", `k3<i>"`).want(t, 422, "You typed “k3&lt;i&gt;&#34;”", "Nothing was deleted.",
		`aria-describedby="lost-fault"`, `value="k3&lt;i&gt;&#34;"`, `name="next" value="/admin/health"`)
	b.post("/admin/health/strays/aaaaaaaaaa", "typed", "aaaaaaaaaa").want(t, 404)
	p.signedIn("eleve").post("/admin/health/strays/k3j2h1g9f8", "typed", "k3j2h1g9f8").want(t, 404)
	b.post("/admin/health/strays/k3j2h1g9f8", "typed", "k3j2h1g9f8").goesTo(t, "/admin/health")
	b.get("/admin/health").want(t, 200, "k3j2h1g9f8 is deleted.").lacks(t, "Type k3j2h1g9f8")
}
