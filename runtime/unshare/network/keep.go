package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Keep puts the rules back at once when somebody else changes them, as a firewall does that flushes what it does not
// know, and the routes of VLANs, until ctx ends. The kernel tells of each transaction and who made it, so nothing is
// asked periodically and the budgets of the sites are not forgotten without need.
func (n *Network) Keep(ctx context.Context) error {
	f, err := listenRules()
	if err != nil {
		return fmt.Errorf("keep rules: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := n.Reload(); err != nil { // what was changed while nobody listened
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { n.guard(ctx) })
	beside.Go(func() { cancel(n.keepVLANs(ctx)) })
	defer func() { cancel(nil); beside.Wait() }()
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	var t transaction
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		k, err := f.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		lost := errors.Is(err, unix.ENOBUFS) // too many at once: what they said is unknown
		if err != nil && !lost {
			return fmt.Errorf("keep rules: %w", err)
		}
		if lost {
			t = transaction{}
		}
		if lost && !n.whole() || !lost && t.read(buf[:k], n.instance) && !n.made(t.generation) {
			n.putBack(ctx, t.program)
		}
	}
	return context.Cause(ctx)
}

// putBack tries until it succeeds: a site without rules is worse than a busy host.
func (n *Network) putBack(ctx context.Context, by string) {
	for wait := time.Millisecond; ctx.Err() == nil; wait = min(2*wait, time.Second) {
		n.mu.Lock()
		closed, err := n.closed, error(nil)
		if !closed {
			err = n.reload()
		}
		n.mu.Unlock()
		if closed {
			return
		}
		if err == nil {
			n.log.Warn("rules were changed by another program and put back", "program", by)
			return
		}
		n.log.Error("rules were changed by another program; putting them back", "program", by, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// made tells whether a generation of the rules is one of ours: n.mu is held while we make one, so that it is known when
// we get here. If somebody else's came right after ours, ours is not known; to put the rules back is right then too.
func (n *Network) made(generation uint32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.generations, generation)
}

// whole tells whether the rules stand as we have made them. It is asked when news was lost: a reload of many bridges tells
// of more than a socket holds, and would otherwise be taken for somebody else's change, and be followed by another.
func (n *Network) whole() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, err := generation()
	return err == nil && now == n.untouched
}

// remember notes the generation that our last transaction has made of the one before. If another transaction came between,
// it is not known whose rules it was about. n.mu is held, but while Open runs.
func (n *Network) remember(before uint32) error {
	now, err := generation()
	if err != nil {
		return err
	}
	if n.generations = append(n.generations, now); len(n.generations) > 16 {
		n.generations = n.generations[1:]
	}
	if n.untouched == before && now == before+1 {
		n.untouched = now
	}
	return nil
}

// generation asks the kernel how many transactions have changed the rules of this network namespace.
func generation() (uint32, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, unix.NLM_F_ACK)
	req.AddRawData([]byte{unix.AF_UNSPEC, 0, 0, 0})
	answers, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return 0, fmt.Errorf("ask for the generation of the rules: %w", err)
	}
	if len(answers) > 0 && len(answers[0]) > 4 {
		if id := attribute(answers[0][4:], attrGenID); len(id) == 4 {
			return binary.BigEndian.Uint32(id), nil
		}
	}
	return 0, errors.New("ask for the generation of the rules: no answer")
}

// listenRules opens a socket that hears of every change to any rule in this network namespace.
func listenRules() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "nftables")
	// A reload tells of each of its elements; privileged sockets may be as large as they like.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// transaction collects the messages about one change until the one that ends it and names its maker.
type transaction struct {
	touched    bool // it is about a table of ours
	generation uint32
	program    string
}

// The attributes read here, of linux/netfilter/nf_tables.h: the table is the first attribute of every kind of object.
const (
	attrTable   = 1
	attrGenID   = 1
	attrGenName = 3
)

// read takes one datagram, and tells whether it ended a transaction that touched a table of the instance.
func (t *transaction) read(b []byte, instance string) (touched bool) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		kind := binary.NativeEndian.Uint16(b[4:])
		if size < unix.SizeofNlMsghdr+4 || size > len(b) {
			return touched
		}
		body := b[unix.SizeofNlMsghdr+4 : size]
		b = b[min((size+3)&^3, len(b)):]
		switch {
		case kind>>8 != unix.NFNL_SUBSYS_NFTABLES:
		case kind&0xff == unix.NFT_MSG_NEWGEN:
			if id := attribute(body, attrGenID); len(id) == 4 {
				t.generation = binary.BigEndian.Uint32(id)
			}
			t.program = unix.ByteSliceToString(attribute(body, attrGenName))
			touched, t.touched = touched || t.touched, false
		default:
			t.touched = t.touched || unix.ByteSliceToString(attribute(body, attrTable)) == instance
		}
	}
	return touched
}

// attribute finds one of a list of netlink attributes.
func attribute(b []byte, want uint16) []byte {
	for len(b) >= 4 {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])&0x3fff
		if size < 4 || size > len(b) {
			return nil
		}
		if kind == want {
			return b[4:size]
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return nil
}
