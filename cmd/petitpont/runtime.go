package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"petitpont/runtime/remote"
	"petitpont/runtime/unshare"
	"petitpont/runtime/unshare/network"
	"petitpont/runtime/unshare/template"
)

// handover is how long a runtime waits for its predecessor, which may be answering its last calls.
const handover = 15 * time.Second

// sweepTime is what ending every site of an instance may take.
const sweepTime = 2 * time.Minute

func runtimeCommand() *cobra.Command {
	var config string
	var sweep bool
	cmd := &cobra.Command{
		Use:   "runtime",
		Short: "Run the containers (root; reachable by its unix socket only)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			log := newLog(os.Stderr)
			if sweep {
				return sweepRuntime(c, log)
			}
			return serveRuntime(cmd.Context(), c, log)
		},
	}
	cmd.Flags().StringVar(&config, "config", "/etc/petitpont/petitpont.toml", "configuration file")
	cmd.Flags().BoolVar(&sweep, "sweep", false, "end every running site, remove what the kernel holds of them, and exit; disks stay")
	return cmd
}

// serveRuntime answers calls until ctx ends. Its end touches no site: the next one finds them again (RULE APART).
func serveRuntime(ctx context.Context, c Config, log *slog.Logger) error {
	held, err := claimRuntime(ctx, c)
	if err != nil {
		return err
	}
	defer held.release()
	if err := checkFree(c); err != nil {
		return err
	}
	driver, net, err := openDriver(c, log)
	if err != nil {
		return err
	}
	defer func() { _ = driver.Close() }()
	defer keepRules(ctx, net, log)()
	uid, gid, err := serveUser(c.User)
	if err != nil {
		return err
	}
	l, err := remote.Listen(c.socket(), 0, int(gid))
	if err != nil {
		return err
	}
	log.Info("runtime ready", "socket", c.socket(), "instance", c.Instance)
	return remote.Serve(ctx, l, driver, remote.Options{AllowUIDs: []uint32{uid}, Log: log})
}

// keepRules guards the network's rules against other programs of the host. The function it returns waits for the end.
func keepRules(ctx context.Context, net *network.Network, log *slog.Logger) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := net.Keep(ctx); ctx.Err() == nil {
				log.Error("the network's rules are not watched; trying again", "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return func() { cancel(); <-done }
}

// sweepRuntime ends what runs and takes down the network. The disks stay.
func sweepRuntime(c Config, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), sweepTime)
	defer cancel()
	held, err := claimRuntime(ctx, c)
	if err != nil {
		return err
	}
	defer held.release()
	driver, net, err := openDriver(c, log)
	if err != nil {
		return err
	}
	if err := driver.Shutdown(ctx); err != nil {
		return fmt.Errorf("end the sites: %w", err)
	}
	if err := net.Close(); err != nil {
		return fmt.Errorf("take down the network: %w", err)
	}
	return os.RemoveAll(c.Run)
}

// claimRuntime comes before anything is opened: to open is to tidy up what a dead runtime left.
func claimRuntime(ctx context.Context, c Config) (claims, error) {
	ctx, cancel := context.WithTimeout(ctx, handover)
	defer cancel()
	return claim(ctx, c, "runtime")
}

func openNetwork(c Config, log *slog.Logger) (*network.Network, error) {
	segments, err := c.segments()
	if err != nil {
		return nil, err
	}
	proxy, err := c.proxyAddrs(context.Background())
	if err != nil {
		log.Warn("sites do not reach the school's proxy until the next start", "error", err)
	}
	policies, err := c.policies(proxy)
	if err != nil {
		return nil, err
	}
	dns, err := c.resolvers(log)
	if err != nil {
		return nil, err
	}
	net, err := network.Open(network.Config{Instance: c.Instance, Segments: segments, Policies: policies, DNS: dns, Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the network: %w", err)
	}
	return net, nil
}

func openDriver(c Config, log *slog.Logger) (*unshare.Driver, *network.Network, error) {
	net, err := openNetwork(c, log)
	if err != nil {
		return nil, nil, err
	}
	driver, err := unshare.Open(unshare.Config{
		Data: c.Data, Run: c.Run, Instance: c.Instance,
		Box: beside("petitpont-box"), Init: beside("petitpont-init"),
		Network: net, Log: log,
		Build: c.build(),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open the runtime: %w", err)
	}
	return driver, net, nil
}

// build says where templates get their packages from.
func (c Config) build() template.Options {
	proxy, direct := c.buildProxy()
	return template.Options{Mirror: c.Template.Mirror, Proxy: proxy, Direct: direct}
}

// beside finds a program of ours in the folder of this one. Its path is never taken from the environment.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

// serveUser turns the configured user, a name or a number, into IDs. Root is refused (RULE SPLIT).
func serveUser(name string) (uid, gid uint32, err error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		uid, gid = uint32(n), uint32(n)
	} else {
		u, err := user.Lookup(name)
		if err != nil {
			return 0, 0, fmt.Errorf("user %q of the configuration: %w", name, err)
		}
		id, _ := strconv.ParseUint(u.Uid, 10, 31) // always numbers on Linux
		group, _ := strconv.ParseUint(u.Gid, 10, 31)
		uid, gid = uint32(id), uint32(group)
	}
	if uid == 0 {
		return 0, 0, fmt.Errorf("user %q is root: serve has to run as somebody else", name)
	}
	return uid, gid, nil
}
