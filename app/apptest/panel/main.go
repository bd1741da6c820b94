// Panel serves the pages over sites that do not exist, to work on them without root and without a directory:
//
//	go run ./app/apptest/panel -listen localhost:8000
//
// Sign in as eleve, asso, prof or admin with the password petitpont.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"petitpont/app"
	"petitpont/app/apptest"
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
	states := []site.State{site.Asleep, site.Awake, site.Asleep, site.Asleep, site.Awake, site.Asleep}
	for i := range 57 {
		login := fmt.Sprintf("etudiant%02d", i/2)
		s.Add(login, "Étudiant", site.Student, false)
		s.Put(login, fmt.Sprintf("projet-ima3-%02d", i), states[i%len(states)], func(x *site.Site) {
			x.UsedAt = s.Now().Add(-time.Duration(i*i) * time.Hour)
		})
	}
}
