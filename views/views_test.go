package views

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"petitpont/site"
	"petitpont/static"
	"petitpont/views/i18n"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func in(lang i18n.Lang) context.Context {
	return With(context.Background(), &Frame{
		Lang: lang, Now: noon, SiteURL: func(name string) string { return "https://" + name + ".sites.ecole.fr/" },
		Who: &site.Identity{Key: "k", Login: "marie", Role: site.Student},
	})
}

func TestTimesAndSizes(t *testing.T) {
	fr, en := in(i18n.FR), in(i18n.EN)
	for got, want := range map[string]string{
		moment(fr, noon):                   "20\u00a0nov. 2026, 12:00",
		moment(en, noon):                   "20\u00a0Nov 2026, 12:00",
		ago(fr, noon.Add(-30*time.Second)): "à l’instant",
		ago(en, noon.Add(-3*time.Minute)):  "3\u00a0min ago",
		ago(fr, noon.Add(-5*time.Hour)):    "il y a 5\u00a0h",
		ago(en, noon.Add(-30*time.Hour)):   "1\u00a0day ago",
		ago(fr, noon.Add(-50*time.Hour)):   "il y a 2\u00a0jours",
		seconds(fr, 1400*time.Millisecond): "1,4\u00a0s",
		seconds(en, 1400*time.Millisecond): "1.4\u00a0s",
		count(fr, 262144):                  "262\u202f144",
		count(en, 1262144):                 "1,262,144",
		count(en, 999):                     "999",
		outOf(fr, 120<<20, 512<<20):        "120\u00a0Mo sur 512\u00a0Mo",
		outOf(en, 1536<<20, 3<<30):         "1.5\u00a0GB of 3\u00a0GB",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEveryStateHasItsOwnShape(t *testing.T) {
	shapes, sprite := map[string]string{}, sprite(t)
	for _, s := range []State{
		stateCreating, stateStarting, stateRunning, stateSleeping, stateStopping, stateStopped, stateFailed, stateLooping,
		stateDeleting, stateUnknown,
	} {
		if other, twice := shapes[s.Icon]; twice {
			t.Errorf("%s and %s share the shape %s", s.Code, other, s.Icon)
		}
		shapes[s.Icon] = s.Code
		if !strings.Contains(sprite, `id="`+s.Icon+`"`) {
			t.Errorf("%s: no shape %s in the sprite", s.Code, s.Icon)
		}
		for _, key := range []string{"state." + s.Code, "about." + s.Code} {
			if !i18n.Has(key) {
				t.Errorf("%s is not in the table", key)
			}
		}
	}
}

func sprite(t *testing.T) string {
	t.Helper()
	b, err := static.Read("icons.svg")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStatesOfTheHeart(t *testing.T) {
	for _, c := range []struct {
		site site.Site
		want string
	}{
		{site.Site{State: site.Asleep, Want: site.Up}, "sleeping"},
		{site.Site{State: site.Asleep, Want: site.Down}, "stopped"},
		{site.Site{State: site.Dozing, Want: site.Up}, "running"},
		{site.Site{State: site.Waking}, "starting"},
		{site.Site{State: site.Failed}, "failed"},
		{site.Site{State: site.Failed, Fault: &site.Fault{Code: site.CodeLooping}}, "looping"},
		{site.Site{State: "of a later version"}, "unknown"},
		{site.Site{}, "unknown"},
	} {
		if got := StateOf(c.site).Code; got != c.want {
			t.Errorf("%+v is %s, want %s", c.site, got, c.want)
		}
	}
}

func TestOnlyWebAddressesBecomeLinks(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://a.example/": true, "http://a.localhost:8080/": true, "javascript:alert(1)": false, "//a.example": false, "data:text/html,x": false,
	} {
		ctx := With(context.Background(), &Frame{Now: noon, SiteURL: func(string) string { return raw }})
		if got := string(siteURL(ctx, "a")); (got == raw) != ok {
			t.Errorf("%q became %q", raw, got)
		}
	}
}

func TestQRCodeHoldsTheAddress(t *testing.T) {
	var b bytes.Buffer
	if err := qrCode("https://blog.sites.ecole.fr/").Render(in(i18n.FR), &b); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.Contains(s, `aria-label="https://blog.sites.ecole.fr/"`) || strings.Count(s, "h1v1h-1z") < 200 {
		t.Error(s)
	}
}

func TestCommandsLeaveOutTheUsualPort(t *testing.T) {
	o := Overview{Owned: Owned{Site: site.Site{Name: "blog"}}, SFTP: SFTP{Host: "ssh.ecole.fr", Port: 22, Login: "marie.dupont"}}
	if got := o.sftpSite(); got != "sftp marie.dupont+blog@ssh.ecole.fr" {
		t.Error(got)
	}
	o.SFTP.Port = 2222
	if got := o.scpSite(); got != "scp -r -P 2222 ./site/* marie.dupont+blog@ssh.ecole.fr:/www/" {
		t.Error(got)
	}
}

func TestAFaultsCauseIsTranslated(t *testing.T) {
	args := site.Args{"s": "blog", "n": "5", "cause": string(site.CodeServerEnded)}
	got := Sentence(in(i18n.EN), site.CodeLooping, args)
	if !strings.Contains(got, "First cause: The web server of “blog” ended") {
		t.Error(got)
	}
}
