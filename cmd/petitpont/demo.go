package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"

	"petitpont/runtime"
	builder "petitpont/runtime/unshare/template"
	"petitpont/site/ldap/ldaptest"
)

// demoUser is who serve and the directory run as in the demo: a number out of systemd's range for dynamic users
// (61184 to 65519, systemd.exec(5)), so that the demo adds no account to the host.
const demoUser = "64990"

type demoFlags struct {
	data, instance, network string
	panel, sites, gate      int
	rebuild                 bool
	ldap                    string
}

func demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole product on this machine, with a test directory, for this machine only",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.data, "data", "/var/lib/petitpont-demo", "where disks, templates and the register stay")
	cmd.Flags().StringVar(&f.instance, "instance", "ppdemo", "label of every kernel object, so that two demos can run")
	cmd.Flags().StringVar(&f.network, "network", "10.84.0.0/14", "private IPv4 block of the sites")
	cmd.Flags().IntVar(&f.panel, "panel-port", 8000, "port of the panel")
	cmd.Flags().IntVar(&f.sites, "sites-port", 8080, "port of the sites")
	cmd.Flags().IntVar(&f.gate, "ssh-port", 2222, "port of the SFTP gate")
	cmd.Flags().StringVar(&f.ldap, "ldap", "", "file with an [ldap] table: try a directory of your own instead of the made-up one")
	cmd.Flags().BoolVar(&f.rebuild, "rebuild", false, "build a new version of the template")
	return cmd
}

// demo runs what an installation runs: one configuration, the root process, the unprivileged one. Only the directory
// is made up, and everything ends with this process.
func demo(ctx context.Context, f demoFlags) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the demo makes containers, so it has to start as root: sudo bin/petitpont demo")
	}
	if f.data, err = filepath.Abs(f.data); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	c := demoConfig(f)
	if err := checkDemo(ctx, c, f.rebuild); err != nil { // before anything is made: the processes would only say that they ended
		return unlessEnded(ctx, err)
	}
	held, err := claimDemo(c)
	if err != nil {
		return err
	}
	defer held.release()
	// Later than the claim: whose they are, if a demo runs here, it knows.
	if err := errors.Join(checkPorts(c), checkFree(c)); err != nil {
		held.forget()
		return err
	}
	if err := prepareDemo(c); err != nil {
		return err
	}
	if err := demoTemplate(ctx, c, f.rebuild); err != nil || ctx.Err() != nil { // its throw-away sites go as all others do
		return errors.Join(unlessEnded(ctx, err), sweepRuntime(c, slog.New(slog.DiscardHandler)))
	}
	logs, err := os.OpenFile(filepath.Join(c.Data, "petitpont.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer func() { _ = logs.Close() }()
	crew := newCrew(logs, newLog(logs))
	defer func() { err = errors.Join(err, endDemo(crew, c, logs)) }()
	if err := demoDirectory(ctx, crew, &c, f.ldap); err != nil {
		return unlessEnded(ctx, err)
	}
	if err := startDemo(ctx, crew, c); err != nil {
		return unlessEnded(ctx, err)
	}
	greet(os.Stdout, c, f.ldap == "")
	select {
	case <-ctx.Done():
		return nil
	case err := <-crew.failed:
		return err
	}
}

// claimDemo keeps a second demo from taking the first one's sites for leftovers.
func claimDemo(c Config) (claims, error) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	held, err := claim(now, c, "demo")
	if errors.Is(err, errClaimed) {
		return nil, fmt.Errorf("a demo runs here already: end it with Ctrl+C, or give this one its own --data, --instance, --network and ports (%w)", err)
	}
	return held, err
}

func demoConfig(f demoFlags) Config {
	c := defaultConfig()
	c.Instance, c.User, c.Network = f.instance, demoUser, f.network
	c.School = "École de démonstration"
	c.Data, c.Run = f.data, filepath.Join("/run", f.instance)
	local := func(port int) []string {
		all := []string{"127.0.0.1:" + strconv.Itoa(port)}
		if hasLoopback6() {
			all = append(all, "[::1]:"+strconv.Itoa(port))
		}
		return all
	}
	c.Panel.URL, c.Panel.Listen = fmt.Sprintf("http://localhost:%d", f.panel), local(f.panel)
	c.Sites.Domain, c.Sites.Listen = "localhost", local(f.sites)
	c.Sites.URL = fmt.Sprintf("http://{name}.localhost:%d", f.sites)
	c.SSH.Host, c.SSH.Port, c.SSH.Listen = "localhost", f.gate, local(f.gate)
	return c
}

func (c Config) demoFile() string { return filepath.Join(c.Data, "petitpont.toml") }

// prepareDemo makes the folders: the world may pass through data, only serve's user may enter its part.
func prepareDemo(c Config) error {
	uid, gid, err := serveUser(c.User)
	if err != nil {
		return err
	}
	for _, dir := range []string{c.Data, c.Run} {
		if err := errors.Join(os.MkdirAll(dir, 0o711), os.Chmod(dir, 0o711)); err != nil { // it may be there, and closed
			return fmt.Errorf("make folder: %w", err)
		}
	}
	for _, dir := range []string{c.serveDir(), filepath.Join(c.serveDir(), "ssh"), filepath.Join(c.Run, "directory")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			return fmt.Errorf("hand over folder: %w", err)
		}
	}
	return nil
}

// demoTemplate builds, tests and publishes the first version, or a new one, before the runtime starts.
func demoTemplate(ctx context.Context, c Config, rebuild bool) error {
	if _, err := builder.Newest(c.templates(), "web"); err == nil && !rebuild {
		return nil
	}
	fmt.Println("Building the template that sites are made from (once, one to three minutes):")
	var built runtime.Version
	err := keeping(ctx, c, func(k runtime.Keeper) (err error) {
		built, err = makeTemplate(ctx, k, "web", os.Stdout, true)
		return err
	})
	if ctx.Err() != nil {
		fmt.Println("\nEnded before the template was ready. Nothing of it is kept: the next start builds it.")
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	fmt.Printf("Template web@%s is ready, %d MB.\n", built.Version, built.Bytes>>20)
	return nil
}

// demoDirectory finds out where people sign in: in a directory of this demo, or in the one of a file.
func demoDirectory(ctx context.Context, crew *crew, c *Config, file string) (err error) {
	if file != "" {
		own, err := loadConfig(file)
		c.LDAP = own.LDAP
		return err
	}
	uid, _, err := serveUser(c.User)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.Run, "directory")
	if err := os.RemoveAll(filepath.Join(dir, directoryFile)); err != nil { // of a demo that was killed
		return fmt.Errorf("forget the former directory: %w", err)
	}
	crew.start(member{name: "directory", args: []string{"directory", "--dir", dir}, uid: uid, vital: true})
	if err := waitFor(ctx, crew, filepath.Join(dir, directoryFile)); err != nil {
		return err
	}
	c.LDAP, err = readDirectory(dir)
	return err
}

// startDemo writes the configuration that an installation would have, and starts the two processes that read it.
func startDemo(ctx context.Context, crew *crew, c Config) error {
	uid, _, err := serveUser(c.User)
	if err != nil {
		return err
	}
	files, names, err := openListeners(c)
	if err != nil {
		return err
	}
	if err := writeConfig(c); err != nil {
		return err
	}
	crew.start(member{name: "runtime", args: []string{"runtime", "--config", c.demoFile()}})
	if err := waitFor(ctx, crew, c.socket()); err != nil {
		return err
	}
	crew.start(member{name: "serve", args: []string{"serve", "--config", c.demoFile()}, uid: uid, listeners: files, names: names})
	return waitAnswer(ctx, crew, c.Panel.URL+"/login")
}

// endDemo leaves nothing behind but the data folder: no process, mount, interface, table or cgroup.
func endDemo(crew *crew, c Config, logs io.Writer) error {
	fmt.Println("\nEnding: sites are stopped, their disks are kept.")
	crew.stop()
	return sweepRuntime(c, slog.New(slog.NewTextHandler(logs, nil)))
}

func writeConfig(c Config) error {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(c); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.WriteFile(c.demoFile(), b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

var greeting = template.Must(template.New("").Parse(`
petitpont is running, for this machine only.

  Panel     {{.Panel.URL}}
{{- if .MadeUp}}
  Accounts  eleve (student), prof (teacher), asso (association), admin
            password for each: {{.Password}}
{{- end}}
  Sites     {{.SiteURL}}/
  Files     sftp -P {{.SSH.Port}} {{if .MadeUp}}eleve{{else}}LOGIN{{end}}@{{.SSH.Host}}

  Data {{.Data}}   Log {{.Data}}/petitpont.log   Ctrl+C ends everything.
`))

func greet(w io.Writer, c Config, madeUp bool) {
	_ = greeting.Execute(w, struct {
		Config
		MadeUp            bool
		Password, SiteURL string
	}{c, madeUp, ldaptest.DemoPassword, c.siteURL("NAME")})
}

// waitTime is how long a part of the demo may take to come up: far more than a slow machine needs. What takes long is the
// first start of serve, which makes the gate's keys: the search for an RSA key ends when luck has it, here after 40 s at
// the worst of 15 on an emulated processor that did other things besides. A part that gives up ends the wait at once.
const waitTime = 10 * time.Minute
