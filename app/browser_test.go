package app_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"petitpont/e2e/browsertest"
	"petitpont/site"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screen is a real Chromium on the panel. Whatever it complains of, above all a violation of the panel's policy, fails
// the test.
type screen struct {
	*panel
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

func (p *panel) screen(login string) *screen {
	p.t.Helper()
	s := &screen{panel: p, ctx: browsertest.Open(p.t)}
	s.listen()
	s.open("/login")
	s.do(chromedp.SetValue("#login", login), chromedp.SetValue("#password", "petitpont"), chromedp.Submit("#password"))
	s.until("location.pathname == '/' && document.readyState == 'complete'") // scripts have taken up the page
	return s
}

// listen gathers complaints; a status that a test provoked is none.
func (s *screen) listen() {
	s.t.Helper()
	if _, err := chromedp.Call(s.ctx, cdplog.Enable, cdp.Empty{}); err != nil {
		s.t.Fatal(err)
	}
	err := chromedp.Listen(s.ctx, func(ev any) {
		text := ""
		switch e := ev.(type) {
		case *cdplog.EventEntryAdded:
			if e.Entry.Source != cdplog.EntrySourceNetwork && e.Entry.Level != cdplog.EntryLevelInfo {
				text = e.Entry.Text
			}
		case *runtime.EventExceptionThrown:
			text = e.ExceptionDetails.Text
		}
		if text != "" {
			s.mu.Lock()
			s.complaints = append(s.complaints, text)
			s.mu.Unlock()
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.complaints {
			s.t.Errorf("the browser complains: %s", c)
		}
	})
}

func (s *screen) do(steps ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	if err := chromedp.Do(s.ctx, steps...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) open(path string) {
	s.t.Helper()
	s.do(chromedp.Navigate(s.url + path))
}

// eval is the value of a JavaScript expression as text.
func (s *screen) eval(expression string) string {
	s.t.Helper()
	v, err := chromedp.Run(s.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		s.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for a fact.
func (s *screen) until(expression string) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		v, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && v { // a page that is being left answers with an error
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("never came true: %s (%v)\n%s", expression, err, s.eval("document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *screen) press(key string) {
	s.t.Helper()
	s.do(chromedp.KeyEvent(key))
}

// focus is what has the focus, as tag#id or tag with its name.
func (s *screen) focus() string {
	s.t.Helper()
	return s.eval(`((e) => e.tagName.toLowerCase() + (e.id ? '#' + e.id : ' ' + (e.getAttribute('aria-label') ?? e.innerText.trim())))(document.activeElement)`)
}

func (s *screen) wantFocus(want string) {
	s.t.Helper()
	if got := s.focus(); got != want {
		s.t.Errorf("focus is on %q, want %q", got, want)
	}
}

const stopLink = `document.querySelector('a[aria-label="Stop blog"]')`

func TestStopInADialog(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	s := p.screen("eleve")
	s.eval(`document.querySelector('.more summary').click()`)
	s.eval(stopLink + ".focus()")
	s.press("\r")
	s.until("document.querySelector('#dialog').open")
	s.wantFocus("a Cancel")
	s.press("\x1b")
	s.until("!document.querySelector('#dialog').open && document.activeElement.tagName == 'SUMMARY'")
	s.wantFocus("summary More actions for blog")

	s.press("\r")
	s.eval(stopLink + ".focus()")
	s.press("\r")
	s.until("document.querySelector('#dialog').open")
	s.press("\t")
	s.wantFocus("button Stop the site")
	s.press("\r")
	s.until("document.querySelector('#toasts').innerText.includes('Stop of blog requested.')")
	s.until("document.querySelector('#card-blog .state').dataset.state == 'stopping'")
	s.until("!document.querySelector('#dialog').open")
	if s.eval("location.pathname") != "/" {
		t.Error("the page was left")
	}
	p.sites.Set("blog", func(x *site.Site) { x.State = site.Asleep })
	s.until("document.querySelector('#card-blog .state').dataset.state == 'stopped'")
	s.until("document.querySelector('[aria-label=\"Start blog\"]')")
}

func TestDeleteInADialog(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	s := p.screen("eleve")
	s.open("/s/blog")
	s.do(chromedp.Click(`a[aria-label="Delete blog"]`))
	s.until("document.querySelector('#dialog').open")
	s.wantFocus("input#confirm")
	s.press("blo")
	s.press("\r")
	s.until("document.querySelector('#question-fault')")
	s.until("document.activeElement.id == 'confirm'")
	if got := s.eval("document.querySelectorAll('main').length + ' ' + document.querySelector('#confirm').value"); got != "1 blo" {
		t.Errorf("after the refusal: %s", got)
	}
	s.press("g")
	s.press("\r")
	s.until("location.pathname == '/' && document.querySelector('#toasts')?.innerText.includes('Deletion of blog requested.')")
}

func TestLookingAgainDisturbsNobody(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Waking, nil)
	p.sites.Put("eleve", "wiki", site.Awake, nil)
	s := p.screen("eleve")
	s.eval(`document.querySelector('#card-wiki .more').open = true`)
	s.eval(`document.querySelector('#card-wiki [aria-label="Restart wiki"]').focus()`)
	p.sites.Set("blog", func(x *site.Site) { x.State = site.Awake })
	s.until("document.querySelector('#card-blog .state').dataset.state == 'running'")
	s.wantFocus("button Restart wiki")
	if s.eval("document.querySelector('#card-wiki .more').open") != "true" {
		t.Error("the menu was shut")
	}
	s.until("document.querySelector('#sites').getAttribute('hx-trigger').includes('5s')")
}

func TestRefusalIsSaidOnTheCard(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	s := p.screen("eleve")
	p.sites.Fail("Restart", &site.Error{Code: site.CodeBusy, Args: site.Args{"s": "blog", "action": "waking"}})
	s.do(chromedp.Click(`[aria-label="Restart blog"]`))
	s.until("document.querySelector('#err-blog').innerText.includes('is busy')")
	p.sites.Set("blog", func(x *site.Site) { x.State = site.Waking })
	s.until("document.querySelector('#card-blog .state').dataset.state == 'starting'")
	if s.eval("document.querySelector('#err-blog').innerText.includes('is busy')") != "true" {
		t.Error("the refusal went away by itself")
	}
}

func TestNameIsCheckedWithoutLosingTheCaret(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("prof", "blog", site.Awake, nil)
	s := p.screen("eleve")
	s.eval("document.querySelector('#name').select()")
	s.do(chromedp.Focus("#name"))
	s.eval("document.querySelector('#name').select()")
	s.press("blog")
	s.until("document.querySelector('#name-state').innerText.includes('already taken')")
	s.wantFocus("input#name")
	s.eval("document.querySelector('#name').setSelectionRange(2, 2)")
	s.press("X")
	s.until("document.querySelector('#name-state').innerText.includes('blxog')")
	if got := s.eval("document.querySelector('#name').value + ' ' + document.querySelector('#name').selectionStart"); got != "blXog 3" {
		t.Errorf("field and caret: %s", got)
	}
}

func TestCreationMovesOnByItself(t *testing.T) {
	p := newPanel(t)
	s := p.screen("eleve")
	s.do(chromedp.Submit("#name"))
	s.until("location.pathname == '/s/eleve/progress'")
	p.sites.Set("eleve", func(x *site.Site) { x.State = site.Awake })
	s.until("location.pathname == '/s/eleve'")
	s.until("document.querySelector('.state').dataset.state == 'running'")
}

func TestLostPanelIsSaid(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Waking, nil)
	s := p.screen("eleve")
	s.offline(true)
	s.until("!document.querySelector('#offline').hidden")
	s.eval("((now) => { Date.now = () => now() + 31000; })(Date.now.bind(Date))")
	s.until("document.querySelector('#sites .state').dataset.state == 'unknown'")
	s.offline(false)
	s.until("document.querySelector('#offline').hidden")
	s.until("document.querySelector('#sites .state').dataset.state == 'starting'") // although nothing has changed
}

func (s *screen) offline(on bool) {
	s.t.Helper()
	_, err := chromedp.Call(s.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: on, DownloadThroughput: -1, UploadThroughput: -1}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestAdminTypesAndTheListFollows(t *testing.T) {
	_, b := school(t)
	s := b.panel.screen("admin")
	s.open("/admin/sites")
	s.do(chromedp.Focus("#q"))
	s.press("club-0")
	s.until("document.querySelectorAll('#rows tbody tr').length == 10")
	s.wantFocus("input#q")
	s.until("location.search.includes('q=club-0')")
	s.until("document.querySelector('#announce').innerText.includes('10 sites')")
	s.eval("((e) => { e.value = 'awake'; e.dispatchEvent(new Event('change', {bubbles: true})) })(document.querySelector('#state'))")
	s.until("document.querySelector('#rows').innerText.includes('No site matches.')")
	if !strings.Contains(s.eval("document.querySelectorAll('main').length + document.title"), "1All sites") {
		t.Error("the page was nested in itself")
	}
}

func TestSessionThatEndedAsksToSignIn(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Waking, nil)
	s := p.screen("eleve")
	s.open("/s/blog")
	p.sites.Revoke("eleve")
	s.until("location.pathname == '/login'")
	s.until("document.body.innerText.includes('Your session has expired')")
	if got := s.eval("document.querySelector('[name=next]').value"); got != "/s/blog" {
		t.Errorf("next is %q", got)
	}
}

// TestAListThatLooksAgainDoesNotReopenADialog in the moment between its closing and the browser's word of it.
func TestAListThatLooksAgainDoesNotReopenADialog(t *testing.T) {
	p := newPanel(t)
	p.sites.Put("eleve", "blog", site.Awake, nil)
	s := p.screen("eleve")
	s.eval(`document.querySelector('.more summary').click()`)
	s.eval(stopLink + ".click()")
	s.until("document.querySelector('#dialog').open")
	s.eval(`(() => {
		document.dispatchEvent(new CustomEvent('petitpont:changed', { detail: { say: 'done' } }));
		document.dispatchEvent(new CustomEvent('htmx:after:swap', { detail: { ctx: { sourceElement: document.body } } }));
	})()`)
	s.until("document.querySelector('#toasts').innerText.includes('done')")
	if s.eval("document.querySelector('#dialog').open") != "false" {
		t.Error("the dialog opened again")
	}
}
