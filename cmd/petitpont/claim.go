package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// errClaimed says that a process that is alive has the folder.
var errClaimed = errors.New("in use by another process")

// claims are folders nobody else of the same role may work in until they are released; the kernel does so at the
// latest when this process ends, however it ends.
type claims []*os.File

func (c claims) release() {
	for _, f := range c {
		_ = f.Close()
	}
}

// forget releases folders in which nothing was done, and takes away what only the claim had put there.
func (c claims) forget() {
	for _, f := range c {
		_ = os.Remove(f.Name())
		_ = os.Remove(filepath.Dir(f.Name())) // unless there is more in it
	}
	c.release()
}

// claim takes the data folder and the run folder for role, the first for its disks, the second for its label in the
// kernel: two runtimes would each take what the other runs for leftovers (RULE OWN). It waits as long as ctx lasts for
// one that is ending, then returns errClaimed.
func claim(ctx context.Context, c Config, role string) (held claims, err error) {
	for _, dir := range []string{c.Data, c.Run} {
		f, err := claimDir(ctx, dir, role)
		if err != nil {
			held.release()
			return nil, fmt.Errorf("%s of %s: %w", role, dir, err)
		}
		held = append(held, f)
	}
	return held, nil
}

// claimDir locks the role's file in dir. The file may go while we wait for it: with forget, of whoever had it.
func claimDir(ctx context.Context, dir, role string) (*os.File, error) {
	for {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(filepath.Join(dir, role+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			continue // the folder has just gone
		}
		if err != nil {
			return nil, err
		}
		if err := lock(ctx, f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if stands(f) {
			return f, nil
		}
		_ = f.Close()
	}
}

// lock waits for the lock as long as ctx lasts, then returns errClaimed.
func lock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errClaimed
		}
	}
}

// stands tells whether an open file is still the one of its name.
func stands(f *os.File) bool {
	open, err1 := f.Stat()
	named, err2 := os.Stat(f.Name())
	return err1 == nil && err2 == nil && os.SameFile(open, named)
}
