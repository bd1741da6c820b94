package main

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/unshare"
	"petitpont/runtime/unshare/network"
	"petitpont/runtime/unshare/selfcheck"
)

// The check has an instance of its own, always the same for one installation: what a killed one left is found and removed
// by the next, and two installations on one host check themselves side by side (RULE OWN).

// checkInstance is that instance's name. It is longer than any that can be configured.
func checkInstance(instance string) string {
	sum := sha256.Sum256([]byte(instance))
	return "pc" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:7]
}

// checkUIDs is the first of the users of its two sites: above those of 32,768 sites from a million on.
func checkUIDs(instance string) uint32 {
	sum := sha256.Sum256([]byte(instance))
	const installations = 8192
	return 0x9000_0000 + uint32(binary.BigEndian.Uint16(sum[30:])%installations)*2*65536
}

// checkBlocks are where the check's own network may lie; the first that nobody here uses is taken.
var checkBlocks = []string{"10.255.192.0/18", "172.31.192.0/18", "192.168.192.0/18", "10.127.192.0/18"}

func selfcheckCommand() *cobra.Command {
	var config string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "selfcheck",
		Short: "Attack a throw-away site from the inside, and say which wall held what (root)",
		Long: "Attack a throw-away site from the inside, as its root and as its own user, and say which wall held what.\n" +
			"The report is kept in the data folder, where the panel shows it. Exit status 1: something got through.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			report, err := checkWalls(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err := errors.Join(report.Save(c.Data), show(os.Stdout, report, asJSON)); err != nil {
				return err
			}
			if !report.OK {
				return exitCode(1)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "/etc/petitpont/petitpont.toml", "configuration file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func show(w io.Writer, r selfcheck.Report, asJSON bool) error {
	if !asJSON {
		return r.Table(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

// checkWalls runs the check beside whatever runs, with templates of the installation and nothing else of it.
func checkWalls(ctx context.Context, c Config) (_ selfcheck.Report, err error) {
	if err := c.lookAtVLANs(); err != nil {
		return selfcheck.Report{}, err
	}
	block, err := freeBlock(c.Network)
	if err != nil {
		return selfcheck.Report{}, err
	}
	own, err := checkConfig(c, block)
	if err != nil {
		return selfcheck.Report{}, err
	}
	lock, err := lockCheck(own.Data)
	if err != nil {
		return selfcheck.Report{}, err
	}
	defer func() { _ = lock.Close() }()
	log := slog.New(slog.DiscardHandler)
	net, err := openNetwork(own, log)
	if err != nil {
		return selfcheck.Report{}, err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	driver, err := unshare.Open(unshare.Config{
		Data: own.Data, Run: own.Run, Instance: own.Instance, UIDBase: checkUIDs(c.Instance),
		Box: beside("petitpont-box"), Init: beside("petitpont-init"), Network: net, Log: log,
	})
	if err != nil {
		return selfcheck.Report{}, fmt.Errorf("open the runtime: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTime)
		defer cancel()
		err = errors.Join(err, driver.Shutdown(ctx), os.RemoveAll(own.Run))
	}()
	if err := clearCheck(ctx, driver); err != nil {
		return selfcheck.Report{}, err
	}
	return attackSite(ctx, own, driver, net)
}

func attackSite(ctx context.Context, own Config, driver *unshare.Driver, net *network.Network) (selfcheck.Report, error) {
	spec, used, err := checkSpec(ctx, driver)
	if err != nil {
		return selfcheck.Report{}, err
	}
	return selfcheck.Run(ctx, selfcheck.Config{
		Template: filepath.Join(own.templates(), used.Name, used.Version, "rootfs"),
		Driver:   driver, Instance: own.Instance, Spec: spec, Version: version,
		Disk: func(id string) string { return filepath.Join(own.Data, "sites", id, "disk.img") },
		Addr: func(slot int) (selfcheck.Addr, error) {
			a, err := net.Addr(spec.Segment, slot)
			return selfcheck.Addr{V4: a.V4, V6: a.V6, MAC: a.MAC}, err
		},
	})
}

// checkConfig is the configuration of the installation, moved to folders, a network and a name of the check's own.
func checkConfig(c Config, block netip.Prefix) (Config, error) {
	own := c
	own.Instance, own.Network, own.Egress = checkInstance(c.Instance), block.String(), borrowed(c.Egress)
	own.Data, own.Run = filepath.Join(c.Data, "selfcheck"), filepath.Join(filepath.Dir(c.Run), own.Instance)
	if err := os.MkdirAll(own.Data, 0o700); err != nil {
		return own, err
	}
	templates, err := filepath.Abs(c.templates())
	if err != nil {
		return own, err
	}
	if err := os.Symlink(templates, own.templates()); err != nil && !errors.Is(err, os.ErrExist) {
		return own, err
	}
	return own, nil
}

// freeBlock finds a private block that neither the sites nor an interface of this machine use.
func freeBlock(sites string) (netip.Prefix, error) {
	used := []netip.Prefix{}
	if p, err := netip.ParsePrefix(sites); err == nil {
		used = append(used, p.Masked())
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			used = append(used, p.Masked())
		}
	}
	for _, text := range checkBlocks {
		block := netip.MustParsePrefix(text)
		if !slices.ContainsFunc(used, block.Overlaps) {
			return block, nil
		}
	}
	return netip.Prefix{}, errors.New("no private block is free for the check's own network")
}

// lockCheck keeps two checks apart.
func lockCheck(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another selfcheck is running: %w", err)
	}
	return f, nil
}

// clearCheck removes the sites of a check that was killed.
func clearCheck(ctx context.Context, driver *unshare.Driver) error {
	left, err := driver.List(ctx)
	if err != nil {
		return err
	}
	for _, i := range left {
		if err := driver.Destroy(ctx, i.ID); err != nil {
			return fmt.Errorf("remove a site of an earlier check: %w", err)
		}
	}
	return nil
}

// checkSpec is the smallest site there is: a web server that serves files, of the newest template that has one.
func checkSpec(ctx context.Context, driver *unshare.Driver) (runtime.Spec, runtime.Template, error) {
	all, err := driver.Templates(ctx)
	if err != nil {
		return runtime.Spec{}, runtime.Template{}, err
	}
	for _, t := range slices.Backward(all) {
		for _, server := range []string{"nginx", "caddy", "apache"} {
			if slices.Contains(t.Services, server) {
				return runtime.Spec{Template: t.Name, Segment: "student", Services: []string{server}, Env: []string{
					"PETITPONT_SITE=selfcheck",
					"PETITPONT_SERVER=" + server, "PETITPONT_LANGUAGE=none", "PETITPONT_DATABASE=none",
				}}, t, nil
			}
		}
	}
	return runtime.Spec{}, runtime.Template{}, fmt.Errorf("no template has a web server: run `petitpont template build web` first: %w", runtime.ErrNoTemplate)
}
