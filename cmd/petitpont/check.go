package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare"
	"petitpont/runtime/unshare/network"
	builder "petitpont/runtime/unshare/template"
	"petitpont/site"
)

// checkDemo says what this machine lacks, in one sentence and before anything on it is changed.
func checkDemo(ctx context.Context, c Config, rebuild bool) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := unshare.CheckHost(); err != nil {
		return err
	}
	segments, err := c.segments()
	if err != nil {
		return err
	}
	if err := network.Try(network.Config{Instance: c.Instance, Segments: segments}); err != nil {
		return err
	}
	if _, err := builder.Newest(c.templates(), "web"); err == nil && !rebuild {
		return nil
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return errors.New("the template is built by mmdebstrap, which is missing: apt install mmdebstrap debian-archive-keyring")
	}
	if err := checkRoom(c); err != nil {
		return err
	}
	return builder.CheckArchive(ctx, "web", c.build())
}

// buildRoom is what building a template takes while it lasts: 540 MB in the end, and packages, their lists and all that no
// site needs until then.
const buildRoom = 1200 << 20

// checkRoom wants the template, what is never promised, and one student's site.
func checkRoom(c Config) error {
	plans, err := c.plans()
	if err != nil {
		return err
	}
	free, err := freeBytes(c.Data)
	if err != nil {
		return err
	}
	if need := buildRoom + unshare.Reserve + plans[site.Student].Limits.Disk; free < need {
		return fmt.Errorf("%s has %d MB free, %d are needed: make room, or choose another folder with --data", c.Data, free>>20, need>>20)
	}
	return nil
}

// freeBytes asks the volume that dir is on, or will be on.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	if errors.Is(err, os.ErrNotExist) && dir != "/" {
		return freeBytes(filepath.Dir(dir))
	}
	if err != nil {
		return 0, fmt.Errorf("ask for free space in %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// portFlags name the flag that gives a door another port.
var portFlags = map[door]string{doorPanel: "--panel-port", doorSites: "--sites-port", doorGate: "--ssh-port"}

// checkPorts opens what will be opened again after the minutes that a template takes.
func checkPorts(c Config) error {
	for _, d := range c.doorAddrs() {
		for _, addr := range d.addrs {
			f, err := listenFile(addr)
			if errors.Is(err, unix.EADDRINUSE) {
				return fmt.Errorf("%s is taken by another program: give the %s another port with %s", addr, d.name, portFlags[d.name])
			}
			if err != nil {
				return fmt.Errorf("listen for the %s: %w", d.name, err)
			}
			_ = f.Close()
		}
	}
	return nil
}

// hasLoopback6 tells whether this machine speaks IPv6 at all: it may be switched off.
func hasLoopback6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// unlessEnded makes no fault of what Ctrl+C broke off.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
