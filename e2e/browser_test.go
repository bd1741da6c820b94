package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"petitpont/e2e/browsertest"
)

// person is somebody at a real browser on a real demo.
type person struct {
	t     *testing.T
	demo  *Demo
	ctx   context.Context
	shots string
}

// atBrowser opens Chromium in a window of the given width. Screenshots go to PETITPONT_SHOTS, or nowhere.
func atBrowser(t *testing.T, d *Demo, lang string, width int) *person {
	t.Helper()
	ctx := browsertest.Open(t, chromedp.Flag("lang", lang), chromedp.Flag("accept-lang", lang), chromedp.WindowSize(width, 900))
	return &person{t: t, demo: d, ctx: ctx, shots: os.Getenv("PETITPONT_SHOTS")}
}

func (p *person) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(fmt.Sprintf("http://localhost:%d%s", p.demo.Panel, path)))
}

func (p *person) signIn(login string) {
	p.t.Helper()
	p.open("/login")
	p.shot("login")
	p.do(chromedp.SetValue("#login", login), chromedp.SetValue("#password", "petitpont"), chromedp.Submit("#password"))
	p.until("location.pathname == '/'")
}

// until waits for a fact of the page.
func (p *person) until(expression string) {
	p.t.Helper()
	eventually(p.t, expression, time.Minute, func() error {
		v, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && !v {
			text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
			err = fmt.Errorf("the page says:\n%s", text)
		}
		return err
	})
}

// sees waits until the page shows text.
func (p *person) sees(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

func (p *person) shot(name string) {
	p.t.Helper()
	if p.shots == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.shots, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// TestFirstSiteInABrowser is the student's way: sign in, one click, progress in words, online, the site itself, and
// back to nothing through the dialog that wants the name.
func TestFirstSiteInABrowser(t *testing.T) {
	d := demoFor(t)
	p := atBrowser(t, d, "fr", 1200)
	p.signIn("eleve")
	p.sees("Votre premier site est prêt à être créé.")
	p.shot("first-visit")
	p.do(chromedp.SetValue("#name", "monsite"), chromedp.Click("main form .btn-primary"))
	p.until("location.pathname.startsWith('/s/monsite')") // its progress first, which may be over when we look
	p.shot("progress")
	p.until("location.pathname == '/s/monsite'")
	p.sees("En ligne")
	p.shot("site")
	p.do(chromedp.Navigate(fmt.Sprintf("http://monsite.localhost:%d/", d.Sites)))
	p.sees("PHP")
	p.shot("welcome")

	p.open("/s/monsite")
	p.do(chromedp.Click("a[href^='/s/monsite/delete']"))
	p.until("document.querySelector('#dialog[open]')")
	p.shot("delete")
	p.do(chromedp.SetValue("#dialog [name=confirm]", "monsite"), chromedp.Submit("#dialog [name=confirm]"))
	p.until("location.pathname == '/'")
	p.sees("Votre premier site est prêt à être créé.")
}

// TestAdminInABrowser is the admin's way: every site on one page, found by its owner, stopped from there.
func TestAdminInABrowser(t *testing.T) {
	d := demoFor(t)
	student := atBrowser(t, d, "en", 360)
	student.signIn("eleve")
	student.shot("narrow-first-visit")
	student.do(chromedp.SetValue("#name", "blog"), chromedp.Click("main form .btn-primary"))
	student.until("location.pathname == '/s/blog'")
	student.sees("Online")
	student.shot("narrow-site")

	admin := atBrowser(t, d, "en", 1200)
	admin.signIn("admin")
	admin.open("/admin")
	admin.shot("admin")
	admin.open("/admin/sites?q=eleve")
	admin.sees("blog")
	admin.sees("Online")
	admin.shot("admin-sites")
	admin.do(chromedp.Click("td details summary"), chromedp.Click("a[href^='/s/blog/stop']"))
	admin.until("document.querySelector('#dialog[open]')")
	admin.shot("admin-stop")
	admin.do(chromedp.Click("#dialog form button.btn-primary, #dialog form button.btn-danger, #dialog form button[type=submit]"))
	admin.sees("Stopped")
	student.open("/s/blog")
	student.sees("Stopped")
	student.do(chromedp.Navigate(fmt.Sprintf("http://blog.localhost:%d/", d.Sites)))
	student.sees("This site is stopped")
	student.shot("narrow-stopped")
}
