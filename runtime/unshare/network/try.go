package network

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	goruntime "runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Try opens and closes the network of c in a network namespace that ends with the call: so this machine's kernel and
// its nft are asked for everything that sites need, and nothing of the machine is changed. Its error is a sentence for
// whoever runs the machine.
func Try(c Config) error {
	c.Log = slog.New(slog.DiscardHandler)
	done := make(chan error)
	go func() { done <- tryAside(c) }()
	return <-done
}

// tryAside locks the thread and never unlocks it, so the thread ends with the goroutine, and the namespace with the
// thread. The process's first thread cannot end, so it is passed over.
func tryAside(c Config) error {
	goruntime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer goruntime.UnlockOSThread()
		return Try(c)
	}
	if err := tryHere(c); err != nil {
		return fmt.Errorf("this machine cannot fence sites in, for which it needs bridge, veth and nftables: %w", err)
	}
	return nil
}

func tryHere(c Config) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("new network namespace: %w", err)
	}
	// Stand-ins for the uplinks, so that VLANs are tried too.
	for _, s := range c.Segments {
		uplink := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: s.Uplink, Flags: net.FlagUp}}
		if s.VLAN == 0 {
			continue
		}
		if err := netlink.LinkAdd(uplink); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("make an interface: %w", err)
		}
	}
	n, err := Open(c)
	if err != nil {
		return err
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "try"}, PeerName: "try1"}
	return errors.Join(n.host.LinkAdd(veth), n.Close())
}
