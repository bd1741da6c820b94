package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// keepVLANs puts routes back that the kernel forgets with an uplink that went down, and that other programs remove, until
// ctx ends: systemd-networkd takes away rules it does not know whenever it starts. Until they are back the rules of nft
// hold the segment.
func (n *Network) keepVLANs(ctx context.Context) error {
	if len(n.vlans) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	f, err := listenRoutes()
	if err != nil {
		return fmt.Errorf("keep routes: %w", err)
	}
	defer func() { _ = f.Close() }()
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, 64<<10)
	for t := (tries{log: n.log}); ; {
		_ = f.SetReadDeadline(t.next(n.relayVLANs(ctx)))
		if ctx.Err() != nil { // asked after the deadline is set: the other one is past, and stays if it comes later
			return ctx.Err()
		}
		if err := n.awaitNews(f, buf); err != nil {
			return fmt.Errorf("keep routes: %w", err)
		}
	}
}

// relayVLANs lays what is missing.
func (n *Network) relayVLANs(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || ctx.Err() != nil {
		return nil
	}
	return n.layVLANs()
}

// awaitNews returns when something may be missing, or the deadline of f has passed.
func (n *Network) awaitNews(f *os.File, buf []byte) error {
	for {
		k, err := f.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENOBUFS): // too many at once: what they said is unknown
			return nil
		case err != nil:
			return err
		case n.concerns(buf[:k]):
			return nil
		}
	}
}

// tries spaces out what has failed and may succeed without any news, and says each trouble once.
type tries struct {
	log  *slog.Logger
	wait time.Duration
	at   time.Time // the next one
	said string
}

// next is when to try again; never, after a success. A failure ahead of its time, because there was news, puts nothing off.
func (t *tries) next(err error) time.Time {
	if err == nil {
		if t.said != "" {
			t.log.Info("each segment has its way out again")
		}
		*t = tries{log: t.log}
		return t.at
	}
	if t.said != err.Error() {
		t.said = err.Error()
		t.log.Error("a segment has no way out", "error", err)
	}
	if now := time.Now(); !now.Before(t.at) {
		t.wait = min(max(2*t.wait, 100*time.Millisecond), time.Minute)
		t.at = now.Add(t.wait)
	}
	return t.at
}

// listenRoutes opens a socket that hears of links, addresses, routes and rules of this network namespace.
func listenRoutes() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "routes")
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	var groups uint32
	for _, g := range []int{
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
	} {
		groups |= 1 << (g - 1)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// concerns tells whether a datagram may mean that something of ours is missing now, or can be made now. Links come and go
// with every site; only uplinks and VLANs count.
func (n *Network) concerns(b []byte) bool {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return true
		}
		body := b[unix.SizeofNlMsghdr:size]
		switch kind := binary.NativeEndian.Uint16(b[4:]); kind {
		case unix.RTM_DELADDR:
			return true
		case unix.RTM_DELROUTE, unix.RTM_DELRULE: // both begin with a header of 12 bytes and name the table alike
			if len(body) >= 12 && ownTable(n.instance, tableOf(body)) {
				return true
			}
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			if len(body) >= unix.SizeofIfInfomsg && n.leads(unix.ByteSliceToString(attribute(body[unix.SizeofIfInfomsg:], unix.IFLA_IFNAME))) {
				return true
			}
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return false
}

func tableOf(body []byte) int {
	if t := attribute(body[12:], unix.RTA_TABLE); len(t) == 4 { // FRA_TABLE is the same number
		return int(binary.NativeEndian.Uint32(t))
	}
	return int(body[4])
}

// leads tells whether an interface is a VLAN of the plan or carries one.
func (n *Network) leads(name string) bool {
	return slices.ContainsFunc(n.vlans, func(v vlan) bool { return v.name == name || v.parent == name })
}
