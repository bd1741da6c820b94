// Panel serves the pages over sites that do not exist, to work on them without root and without a directory:
//
//	go run ./app/apptest/panel -listen localhost:8000
//
// Sign in as eleve, asso, prof or admin with the password petitpont.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"petitpont/app"
	"petitpont/app/apptest"
	"petitpont/runtime"
	"petitpont/site"

	"github.com/alexedwards/scs/v2"
)

func main() {
	listen := flag.String("listen", "localhost:8000", "where to serve")
	pace := flag.Duration("pace", 3*time.Second, "how long a site takes to change")
	flag.Parse()
	sites := apptest.New()
	sites.Pace = *pace
	furnish(sites)
	log.Printf("http://%s", *listen)
	server := &http.Server{Addr: *listen, ReadHeaderTimeout: 5 * time.Second, Handler: app.New(app.Config{
		Sites: sites, Sessions: scs.New(), School: "Polytech Lille", Contact: "support@ecole.example", Version: "dev",
		SiteURL: func(name string) string { return "http://" + name + ".localhost:8080/" },
		SFTP:    app.SFTP{Host: "localhost", Port: 2222, Fingerprint: "SHA256:Zk3xQm1VdYk8yq0fXo4b2hTjJcWc0o5nHq7bVw3r9aE"},
	})}
	log.Fatal(server.ListenAndServe())
}

// furnishAdmin gives the administrator templates in every stage, a build, a wave, and a health page with all there can be.
func furnishAdmin(s *apptest.Sites) {
	now := s.Now()
	version := func(v string, age time.Duration) runtime.Version {
		return runtime.Version{Template: runtime.Template{Name: "web", Version: v, BuiltAt: now.Add(-age), Bytes: 1100 << 20}, TestedAt: now.Add(-age)}
	}
	newest, old, broken := version("20261119-1", 26*time.Hour), version("20261102-1", 18*24*time.Hour), version("20261120-1", time.Hour)
	newest.Published, old.Published = true, true
	broken.TestedAt, broken.Fault = time.Time{}, "services nginx, php, mariadb: nothing listens on port 80 after 60 s\nmariadbd: InnoDB: not enough memory"
	draft := version("20261120-2", 10*time.Minute)
	s.SetTemplates(func(t *site.Templates) {
		t.Versions = []site.TemplateVersion{
			{Version: draft},
			{Version: broken},
			{Version: newest, Newest: true, Pinned: []string{"blog", "boutique"}, Behind: 120},
			{Version: old, Pinned: []string{"projet-ima3-01", "projet-ima3-02", "projet-ima3-03"}},
		}
		t.Work = &site.Work{Template: "web", Began: now.Add(-80 * time.Second), Build: runtime.Build{Step: runtime.BuildInstall, Done: 312 << 20, Total: 1100 << 20}}
		t.Waves = []site.WaveState{{
			Wave:    site.Wave{Template: "web", Version: "20261119-1", BeganAt: now},
			Waiting: []string{"projet-ima3-01", "projet-ima3-02"}, Kept: []string{"projet-ima3-03"},
			Failed: []site.FailedMove{{Name: "projet-ima3-04", Fault: &site.Fault{
				Code: site.CodeServerEnded, Args: site.Args{"s": "projet-ima3-04"}, Ref: "7F3A-22",
				Log: "python: ModuleNotFoundError: No module named 'flask'",
			}}},
		}}
	})
	s.SetHealth(site.Health{
		Parts: []site.Part{
			{Name: "directory", Took: 12 * time.Millisecond},
			{Name: "runtime", Took: 2 * time.Millisecond},
			{Name: "gate", Err: errors.New("dial tcp 127.0.0.1:2222: connect: connection refused")},
			{Name: "proxy", Took: time.Millisecond},
			{Name: "register"},
			{Name: "storage"},
		},
		Storage: site.Storage{Ledger: runtime.Ledger{Volume: 450 << 30, Used: 320 << 30, Promised: 300 << 30, Held: 300 << 30, Reserve: 1 << 30, Free: 129 << 30}},
		Stale:   []string{"annuaire"},
		Lost: site.Lost{
			Containers: []runtime.Info{{ID: "k3j2h1g9f8", Slot: 41, Template: "web@20261102-1", Status: runtime.Stopped}},
			Leftovers: []runtime.Stray{
				{Kind: runtime.StrayFolder, Name: "/var/lib/petitpont/sites/q8w7e6r5t4"}, {Kind: runtime.StrayLoop, Name: "/dev/loop7"},
			},
		},
		Selfcheck: &site.Selfcheck{Time: now.Add(-3 * time.Hour), Version: "dev", Probes: []site.Probe{
			{Name: "mount-host", About: "mount the host's disk", Protection: "seccomp", Root: "blocked", Web: "blocked"},
			{Name: "raw-socket", About: "open a raw socket", Protection: "socket families", Root: "open", Web: "blocked"},
			{Name: "fork-bomb", About: "start processes until none is left", Protection: "pids limit", Root: "error", Web: "n/a"},
		}},
	})
}

// furnish gives prof one site in each state, and the administrator a full house.
func furnish(s *apptest.Sites) {
	s.Put("prof", "blog", site.Awake, nil)
	s.Put("prof", "archives-2025", site.Asleep, func(x *site.Site) { x.Want = site.Down })
	s.Put("prof", "tp-web", site.Failed, func(x *site.Site) {
		x.Fault = &site.Fault{
			Code: site.CodeServerEnded, Args: site.Args{"s": "tp-web"}, Ref: "7F3A-21",
			Log: "nginx: [emerg] unknown directive \"servr\" in /etc/nginx/sites/site.conf:12\nnginx: configuration test failed",
		}
	})
	s.Put("prof", "boutique", site.Awake, func(x *site.Site) { x.Stack = site.Offers()[1] })
	s.Put("admin", "annuaire", site.Awake, func(x *site.Site) {
		x.Stack = site.Stack{Template: "web", Server: "caddy", Language: "python", Database: "postgresql"}
		x.Own = runtime.Limits{Memory: 768 << 20, IO: 16 << 20}
	})
	s.Wait("annuaire")
	furnishAdmin(s)
	states := []site.State{site.Asleep, site.Awake, site.Asleep, site.Asleep, site.Awake, site.Asleep}
	for i := range 57 {
		login := fmt.Sprintf("etudiant%02d", i/2)
		s.Add(login, "Étudiant", site.Student, false)
		s.Put(login, fmt.Sprintf("projet-ima3-%02d", i), states[i%len(states)], func(x *site.Site) {
			x.UsedAt = s.Now().Add(-time.Duration(i*i) * time.Hour)
		})
	}
}
