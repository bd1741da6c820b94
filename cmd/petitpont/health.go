package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"petitpont/runtime/unshare/network"
	"petitpont/site"
)

// doorChecks let the health page try the doors from outside, as a visitor would: that they hold a listener says nothing.
func doorChecks(listeners map[door][]net.Listener, domain string) []site.Check {
	tries := []struct {
		door door
		name string
		say  string // "" waits for the other side to speak first
		hear string
	}{
		{doorSites, "proxy", "HEAD / HTTP/1.1\r\nHost: petitpont-health." + domain + "\r\nConnection: close\r\n\r\n", "HTTP/1."},
		{doorGate, "gate", "", "SSH-2.0-"},
	}
	var all []site.Check
	for _, t := range tries {
		if len(listeners[t.door]) == 0 {
			continue
		}
		all = append(all, site.Check{Name: t.name, Look: func(ctx context.Context) error {
			var errs []error
			for _, l := range listeners[t.door] {
				errs = append(errs, knock(ctx, l.Addr(), t.say, t.hear))
			}
			return errors.Join(errs...)
		}})
	}
	return all
}

// vlanChecks let the health page see whether the segments' VLANs carry; none without VLANs.
func (c Config) vlanChecks() []site.Check {
	for _, e := range c.Egress {
		if e.VLAN != 0 {
			return []site.Check{{Name: "vlan", Look: func(context.Context) error { return c.lookAtVLANs() }}}
		}
	}
	return nil
}

// lookAtVLANs tells which VLANs of the configuration do not carry.
func (c Config) lookAtVLANs() error {
	segments, err := c.segments()
	if err != nil {
		return err
	}
	return network.Look(segments)
}

// knock connects, says what it has to, and wants an answer that begins with hear.
func knock(ctx context.Context, to net.Addr, say, hear string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, to.Network(), to.String())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if until, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(until); err != nil {
			return err
		}
	}
	if _, err := c.Write([]byte(say)); err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	line, err := bufio.NewReaderSize(c, 256).ReadString('\n')
	if !strings.HasPrefix(line, hear) {
		return fmt.Errorf("%s: answered %.40q: %w", to, line, errors.Join(errors.New("not what this door says"), err))
	}
	return nil
}
