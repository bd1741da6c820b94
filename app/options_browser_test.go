package app_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"petitpont/site"
)

func TestOptionsFollowTheCardAtOnce(t *testing.T) {
	p := newPanel(t)
	s := p.screen("eleve")
	s.open("/new")
	s.do(chromedp.Click("#options summary"))
	s.eval("document.querySelector('#server').value = 'caddy'")
	s.do(chromedp.Click("#stack-none"))
	s.until("!document.querySelector('#database')")
	s.do(chromedp.Click("#stack-php-mariadb"))
	s.until("document.querySelector('#database')?.selectedOptions[0].text == 'That of the template (MariaDB)'")
	s.wantFocus("input#stack-php-mariadb")
	if got := s.eval("document.querySelector('#options').open + ' ' + document.querySelector('#server').value + ' ' + document.querySelector('#name').value"); got != "true caddy eleve" {
		t.Errorf("options, server, name: %s", got)
	}
	s.do(chromedp.Submit("#name"))
	s.until("location.pathname == '/s/eleve/progress'")
	if made := s.madeStack("eleve"); made.Server != "caddy" || made.Database != "mariadb" {
		t.Errorf("%+v", made)
	}
}

func (s *screen) madeStack(name string) site.Stack {
	s.t.Helper()
	made, err := s.sites.Find(s.t.Context(), site.Identity{Admin: true}, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return made.Stack
}

func TestASecretIsShownOnDemand(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, withDatabase)
	s := p.screen("eleve")
	s.open("/s/blog")
	if said := s.eval("document.body.innerText"); strings.Contains(said, "S3cret") {
		t.Error("the password is in sight")
	}
	s.do(chromedp.Click(".secret summary"))
	s.until("document.querySelector('.secret').innerText.includes('S3cret')")
}

func TestAVersionIsWithdrawnInADialog(t *testing.T) {
	p, b := shelved(t)
	s := b.screen("admin")
	s.open("/admin/templates")
	s.do(chromedp.Click(`[aria-label="Withdraw… Withdraw web@20261120-2…"]`))
	s.until("document.querySelector('#dialog').open")
	s.wantFocus("a Cancel")
	p.sites.Fail("RetireTemplate", &site.Error{Code: site.CodeTemplateUsed, Args: site.Args{"v": "web@1", "n": "2", "sites": "alpha"}})
	s.do(chromedp.Click("#dialog .btn-danger"))
	s.until("document.querySelector('#dialog').innerText.includes('is still in use')")
	p.sites.Fail("RetireTemplate", nil)
	s.do(chromedp.Click("#dialog [data-close-dialog]"))
	s.until("!document.querySelector('#dialog').open")
	s.do(chromedp.Click(`[aria-label="Withdraw… Withdraw web@20261120-2…"]`))
	s.until("document.querySelector('#dialog .btn-danger')")
	s.do(chromedp.Click("#dialog .btn-danger"))
	s.until("document.querySelector('#toasts').innerText.includes('web@20261120-2 is withdrawn.')")
}
