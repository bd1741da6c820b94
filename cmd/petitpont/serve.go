package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"petitpont/app"
	"petitpont/db"
	"petitpont/proxy"
	"petitpont/runtime/remote"
	"petitpont/site"
	"petitpont/site/ldap"
	"petitpont/sshgate"
)

// farewell is how long requests and transfers may take to end when serve is asked to.
const farewell = 10 * time.Second

// patience is how long a start or a file session waits for a runtime that is being restarted.
const patience = 10 * time.Second

func serveCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the panel, the proxy and the gate (unprivileged; listeners are inherited)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() == 0 {
				return errors.New("serve does not run as root: it is what the world can reach (RULE SPLIT)")
			}
			// It sees the passwords of the whole school: they belong in no core file, and to no other process of its user
			// (RULE SECRET).
			if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
				return fmt.Errorf("hide the memory: %w", err)
			}
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, newLog(os.Stderr))
		},
	}
	cmd.Flags().StringVar(&config, "config", "/etc/petitpont/petitpont.toml", "configuration file")
	return cmd
}

// serve wires the heart to its doors and keeps them open until ctx ends.
func serve(ctx context.Context, c Config, log *slog.Logger) error {
	listeners, err := inheritedListeners()
	if err != nil {
		return err
	}
	if len(listeners) == 0 {
		return errors.New("no listeners were handed down: start serve by systemd or by petitpont demo")
	}
	store, err := db.Open(filepath.Join(c.serveDir(), "petitpont.db"))
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	checks := append(doorChecks(listeners, c.Sites.Domain), c.vlanChecks()...)
	checks = append(checks, site.Check{Name: "reserve", Look: func(context.Context) error { return store.Reserve() }})
	sites, err := openService(ctx, c, store, checks, log)
	if err != nil {
		return err
	}
	defer func() { _ = closeIn(farewell, sites.Close) }()
	doors, err := openDoors(c, store, sites, log)
	if err != nil {
		return err
	}
	log.Info("serve ready", "panel", c.Panel.URL, "sites", c.Sites.URL)
	return doors.keepOpen(ctx, listeners)
}

func openService(ctx context.Context, c Config, store *db.DB, checks []site.Check, log *slog.Logger) (*site.Service, error) {
	directory, err := ldap.New(c.ldapConfig())
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	plans, err := c.plans()
	if err != nil {
		return nil, err
	}
	reserve, err := c.memoryReserve()
	if err != nil {
		return nil, err
	}
	back := make(chan struct{}, 1)
	driver := remote.Dial(c.socket())
	driver.Patience = patience
	driver.Returned = func() {
		select {
		case back <- struct{}{}:
		default:
		}
	}
	sites, err := site.Open(ctx, site.Config{
		Store: store, Driver: driver, Directory: directory,
		Checks: checks, Report: c.selfcheckReport(),
		Plans: plans, Domain: c.Sites.Domain, Proxy: c.webProxy(), Log: log,
		MemoryReserve: reserve,
		ReadHost:      func() (site.HostReading, error) { return site.ReadHost(c.Data) },
	})
	if err != nil {
		return nil, err
	}
	go reconcileWhen(ctx, back, sites, log)
	return sites, nil
}

// reconcileWhen looks at the containers again when the runtime is back: what it saw end alone, nobody was told.
func reconcileWhen(ctx context.Context, back <-chan struct{}, sites *site.Service, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-back:
			if err := sites.Reconcile(ctx); err != nil {
				log.Warn("reconcile after the runtime came back", "err", err)
			}
		}
	}
}

// formTime is how long a form may take to arrive at the panel, over the slowest line.
const formTime = time.Minute

// panelServer also limits whole requests, which the proxy's uploads must not: a form that never ends holds nobody.
func panelServer(panel http.Handler, log *slog.Logger, form time.Duration) *http.Server {
	s := proxy.Server(panel, log)
	s.ReadTimeout = form
	return s
}

// doors are what the world can reach.
type doors struct {
	panel, public *http.Server
	proxy         *proxy.Proxy
	journal       *proxy.Journal
	gate          *sshgate.Gate
}

func openDoors(c Config, store *db.DB, sites *site.Service, log *slog.Logger) (*doors, error) {
	keys, err := sshgate.LoadOrCreateHostKeys(filepath.Join(c.serveDir(), "ssh"))
	if err != nil {
		return nil, fmt.Errorf("host keys: %w", err)
	}
	before, trusted, err := c.trusted()
	if err != nil {
		return nil, err
	}
	sessions := scs.New()
	sessions.Store = store.Sessions()
	panel := app.New(app.Config{
		Sites: sites, Sessions: sessions, Secure: strings.HasPrefix(c.Panel.URL, "https:"),
		PanelURL: c.Panel.URL, SiteURL: c.siteURL, School: c.School, Contact: c.Contact, Version: version, Log: log,
		Trusted: before,
		SFTP:    app.SFTP{Host: c.SSH.Host, Port: c.SSH.Port, Fingerprint: sshgate.Fingerprint(keys)},
	})
	journal, err := proxy.OpenJournal(filepath.Join(c.serveDir(), "journal"), log)
	if err != nil {
		return nil, err
	}
	public := proxy.New(proxy.Config{Sites: sites, PanelURL: c.Panel.URL, Trusted: trusted, Log: log, Journal: journal})
	sites.OnRest(public.Rest)
	gate := sshgate.New(sshgate.Config{Sites: sites, HostKeys: keys, Host: c.SSH.Host, Port: c.SSH.Port, Log: log})
	return &doors{panel: panelServer(panel, log, formTime), public: proxy.Server(public, log), proxy: public, journal: journal, gate: gate}, nil
}

// keepOpen serves every door until ctx ends or one of them fails, then lets what is under way end.
func (d *doors) keepOpen(ctx context.Context, listeners map[door][]net.Listener) error {
	open := map[door]func(net.Listener) error{doorPanel: d.panel.Serve, doorSites: d.public.Serve, doorGate: d.gate.Serve}
	failed := make(chan error, 1)
	for name, list := range listeners {
		serve, known := open[name]
		if !known {
			return fmt.Errorf("inherited listener %q: no such door", name)
		}
		for _, l := range list {
			go func() {
				select {
				case failed <- serve(l):
				default: // the first end is told, the others follow from it
				}
			}()
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	return errors.Join(err, d.close())
}

func (d *doors) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { _ = d.gate.Close(ctx) })
	all.Go(func() { _ = d.panel.Shutdown(ctx) })
	all.Go(func() { _ = d.public.Shutdown(ctx) })
	all.Wait()
	return errors.Join(d.proxy.Close(), d.journal.Close())
}

// closeIn gives end so much time.
func closeIn(d time.Duration, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return end(ctx)
}
