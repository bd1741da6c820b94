package network

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"text/template"
	"time"
)

//go:embed guard.nft
var guardText string

var guardTemplate = template.Must(template.New("guard.nft").Parse(guardText))

// The bits of a packet's mark by which our rules tell the guard that they have looked at it, at the port and at the
// host. The guard takes them away again; nobody after it sees them.
const (
	markPort = "0x10000000"
	markHost = "0x20000000"
	unmarked = "0xcfffffff"
)

// guard keeps the second fence standing until ctx ends, by keeping the program alive that owns it.
func (n *Network) guard(ctx context.Context) {
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, time.Minute) {
		if err := n.runGuard(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("the fence against a flush of all rules does not stand", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// runGuard types the guard into an nft of its own, which ends with its input, and so with this process.
func (n *Network) runGuard(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := n.unguarded(ctx); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program("nft"), "-i")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := n.typeGuard(ctx, in); err != nil {
		cancel()
		return errors.Join(err, cmd.Wait())
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, firstLine([]byte(said.String())))
	}
	return errors.New("nft ended")
}

func (n *Network) typeGuard(ctx context.Context, nft io.Writer) error {
	err := guardTemplate.Execute(nft, struct{ Name, Port, Host, Neither string }{n.instance, markPort, markHost, unmarked})
	if err != nil {
		return fmt.Errorf("write guard: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := until(ctx, n.guarded); err != nil {
		return fmt.Errorf("the guard did not come up: %w", err)
	}
	return nil
}

// unguarded waits until the guard of a killed process has gone with its nft: what stands would be taken for ours, and
// then go.
func (n *Network) unguarded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := until(ctx, func() (bool, error) {
		return exec.Command(program("nft"), "list", "table", "inet", n.instance+"_guard").Run() != nil, nil
	})
	if err != nil {
		return fmt.Errorf("another program holds the guard: %w", err)
	}
	return nil
}

// guarded tells whether the last rule of the guard stands.
func (n *Network) guarded() (bool, error) {
	out, err := exec.Command(program("nft"), "list", "chain", "inet", n.instance+"_guard", "forward").Output()
	return err == nil && strings.Count(string(out), "meta mark set") == 2, nil
}
