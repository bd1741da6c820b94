package unshare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/network"
	probes "petitpont/runtime/unshare/probe"
)

// leftover is what a run of these tests that is killed leaves in the kernel: a label, with the folders behind it.
type leftover struct {
	PID            int
	Process, Space string // the run itself: name and start, and the pid namespace in which PID counts
	Data, Run      string
	Instance       string
	Segments       []network.Segment
	Box, Init      string
}

// runs is where runs write down what they have in the kernel, for the next one to remove if they cannot.
const runs = "/var/tmp/petitpont-test-runs"

// note writes c down until the test has taken it away.
func note(t testing.TB, c Config, s []network.Segment) {
	t.Helper()
	space, err := os.Readlink("/proc/self/ns/pid")
	process, err2 := probes.ProcessAt("/proc/self")
	b, err3 := json.Marshal(leftover{os.Getpid(), process, space, c.Data, c.Run, c.Instance, s, c.Box, c.Init})
	path := filepath.Join(runs, c.Instance)
	if err := errors.Join(err, err2, err3, os.MkdirAll(runs, 0o700), os.WriteFile(path, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
}

// sweep removes what dead runs have left. What it cannot remove it says, and leaves to the next one.
func sweep(ctx context.Context) {
	all, _ := filepath.Glob(filepath.Join(runs, "*"))
	for _, path := range all {
		if err := sweepOne(ctx, path); err != nil {
			fmt.Fprintf(os.Stderr, "what a killed run has left, %s: %v\n", path, err)
		}
	}
}

func sweepOne(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil // another run is at it
	}
	var l leftover
	if err := json.NewDecoder(f).Decode(&l); err != nil {
		return err
	}
	if space, err := os.Readlink("/proc/self/ns/pid"); err != nil || space != l.Space {
		return err // nobody here can tell whether it is alive
	}
	if process, err := probes.ProcessAt(fmt.Sprintf("/proc/%d", l.PID)); err == nil && process == l.Process {
		return nil
	}
	if err := l.remove(ctx); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(l.Data), os.RemoveAll(l.Run), os.Remove(path))
}

// remove takes everything under the label out of the kernel, as a runtime that comes back would find it (RULE OWN).
func (l leftover) remove(ctx context.Context) error {
	log := slog.New(slog.DiscardHandler)
	net, err := network.Open(network.Config{Instance: l.Instance, Segments: l.Segments, Log: log})
	if err != nil {
		return err
	}
	d, err := Open(Config{
		Data: l.Data, Run: l.Run, Instance: l.Instance, Box: l.Box, Init: l.Init, Reserve: 1 << 20, Answer: time.Minute,
		Network: net, Log: log,
	})
	if err != nil {
		return errors.Join(err, net.Close())
	}
	return errors.Join(d.Shutdown(ctx), net.Close())
}
