package app_test

import (
	"net/http"
	"testing"
	"time"

	"petitpont/runtime"
	"petitpont/site"
)

func TestCreateWithoutScripts(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	b.get("/").want(t, http.StatusOK, "Your first site is ready to be created.", `action="/new"`, "Create my site", ".localhost:8080")
	b.post("/new", "name", "École", "stack", "none").goesTo(t, "/s/ecole/progress")
	b.get("/s/ecole/progress").want(t, http.StatusOK, "Creating ecole", "Disk", "Network and address", "the creation goes on", "<noscript>")
	b.get("/").want(t, http.StatusOK, "1 of 3 sites", "Creating…", "Plain pages")
}

func TestTheUsualStackNeedsNoChoice(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	b.post("/new", "name", "blog").goesTo(t, "/s/blog/progress")
	b.get("/s/blog").want(t, http.StatusOK, "PHP")
}

func TestRefusedCreateKeepsWhatWasTyped(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		typed string
		code  int
		says  string
		blame bool
	}{
		"no name":      {nil, "  ", 422, "Type the name of your site", true},
		"name taken":   {nil, "blog", 422, "“blog” is already taken. Available: blog-2, blog-3.", true},
		"bad letters":  {nil, "my_site", 422, "Problem: “_”.", true},
		"reserved":     {nil, "admin", 422, "“admin” is reserved.", true},
		"quota":        {&site.Error{Code: site.CodeQuota, Args: site.Args{"n": "3"}}, "mine", 403, "You have 3 of 3 sites.", false},
		"disk is full": {&site.Error{Code: site.CodeHostDisk}, "mine", 507, "does not have enough disk left", false},
		"no memory":    {&site.Error{Code: site.CodeHostMemory}, "mine", 503, "short of memory", false},
		"no template":  {&site.Error{Code: site.CodeNoTemplate, Args: site.Args{"t": "web"}}, "mine", 409, "The template “web” is not ready.", false},
		"runtime down": {&site.Error{Code: site.CodeRuntimeDown}, "mine", 503, "is not answering", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPanel(t)
			p.sites.Put("prof", "blog", site.Awake, nil)
			p.sites.Fail("Create", c.err)
			b := p.signedIn("eleve")
			a := b.post("/new", "name", c.typed, "stack", "none")
			a.want(t, c.code, c.says, `value="`+c.typed+`"`, `value="none" checked`)
			if c.blame {
				a.want(t, c.code, `aria-invalid="true"`, "autofocus")
			} else {
				a.want(t, c.code, `role="alert"`).lacks(t, `aria-invalid="true"`)
			}
		})
	}
}

func TestNameIsCheckedWhileItIsTyped(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("prof", "blog", site.Awake, nil)
	b := p.signedIn("eleve")
	b.part("GET", "/new/check?name=mine", "/new").want(t, 200, "mine.localhost:8080 is available.", `id="name-field"`).lacks(t, "<html", "aria-invalid")
	b.part("GET", "/new/check?name=%C3%89t%C3%A9", "/new").want(t, 200, "You typed “Été”: the address will be ete.localhost:8080.")
	b.part("GET", "/new/check?name=blog", "/new").want(t, 200, `aria-invalid="true"`, `href="/new?name=blog-2"`, "Use “blog-3”")
}

func TestFullPlanOffersNoForm(t *testing.T) {
	p := newPanel(t)
	for _, name := range []string{"one", "two", "three"} {
		p.sites.Put("eleve", name, site.Asleep, nil)
	}
	b := p.signedIn("eleve")
	b.get("/").want(t, 200, "limit of 3 sites").lacks(t, `href="/new"`)
	b.get("/new").want(t, 200, "You have 3 of 3 sites.").lacks(t, `action="/new"`)
}

func TestProgressIsFoundAgain(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	b.post("/new", "name", "blog").goesTo(t, "/s/blog/progress")
	began := p.clock()
	p.sites.Step("blog", runtime.StepDisk, began)
	p.sites.Step("blog", runtime.StepNetwork, began.Add(400*time.Millisecond))
	b.get("/s/blog/progress").want(t, 200, "0.4\u00a0s", "in progress", "to come", "every 1s")
	for _, s := range []runtime.Step{runtime.StepStart, runtime.StepAnswer, ""} {
		p.sites.Step("blog", s, began.Add(time.Second))
	}
	p.sites.Set("blog", func(s *site.Site) { s.State = site.Awake })
	b.get("/s/blog/progress").want(t, 200, "blog is online", `href="/s/blog" data-move`, "every 5s").lacks(t, "in progress", "to come")
}

func TestFailedCreationSaysWhy(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	b.post("/new", "name", "blog").goesTo(t, "/s/blog/progress")
	p.sites.Step("blog", runtime.StepDisk, p.clock())
	p.sites.Set("blog", func(s *site.Site) {
		s.State = site.Failed
		s.Fault = &site.Fault{Code: site.CodeHostDisk, Ref: "7F3A-21", Log: "no space left"}
	})
	b.get("/s/blog/progress").want(t, 200, "blog did not start", "step-broken", "does not have enough disk left", "7F3A-21",
		"no space left", "What had been created was removed.", `action="/s/blog/restart"`, `href="/s/blog/delete?next=%2F"`)
}

func TestFailedStartKeepsTheDisk(t *testing.T) {
	p := newPanel(t)
	b := p.signedIn("eleve")
	b.post("/new", "name", "blog").goesTo(t, "/s/blog/progress")
	p.sites.Step("blog", runtime.StepDisk, p.clock())
	p.sites.Step("blog", runtime.StepStart, p.clock())
	p.sites.Set("blog", func(s *site.Site) {
		s.State = site.Failed
		s.Fault = &site.Fault{Code: site.CodeSilent, Args: site.Args{"s": "blog", "n": "30"}}
	})
	b.get("/s/blog/progress").want(t, 200, "nothing listens on port 80 after 30 s").lacks(t, "What had been created was removed.")
}

func TestProgressOfASiteAtRestIsItsPage(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Asleep, nil)
	b := p.signedIn("eleve")
	b.get("/s/blog/progress").goesTo(t, "/s/blog")
	if got := b.part("GET", "/s/blog/progress", "/s/blog/progress").Get("HX-Redirect"); got != "/s/blog" {
		t.Errorf("HX-Redirect %q", got)
	}
	p.sites.Put("eleve", "wiki", site.Awake, nil)
	b.get("/s/wiki/progress").want(t, 200, "wiki is online", "step-done").lacks(t, "to come")
}

func TestAFullHostIsSaidOnTheFormInBothLanguages(t *testing.T) {
	for lang, says := range map[string]string{
		"en": "The server does not have enough disk left to create a site.",
		"fr": "Le serveur n’a plus assez de disque pour créer un site.",
	} {
		p := newPanel(t)
		p.sites.Fail("Create", &site.Error{Code: site.CodeHostDisk})
		b := p.signedIn("eleve")
		b.do(request{
			method: "POST", path: "/new", form: []string{"name", "mine", "stack", "php"}, header: []string{"Accept-Language", lang},
		}).want(t, 507, says, `value="mine"`, `role="alert"`)
	}
}
