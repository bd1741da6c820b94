package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"petitpont/runtime/unshare/network"
	"petitpont/site"
)

// WebProxy is the school's HTTP proxy. With an url in it, sites and template builds are told to use it, and sites may
// reach it (R86, R87).
type WebProxy struct {
	URL    string   `toml:"url"`    // http://proxy.ecole.fr:3128
	Direct []string `toml:"direct"` // host names and domains that are reached without it, as ecole.fr
}

// Egress is what the sites of a segment may do in the world, and by which interface they leave. See network.Policy.
type Egress struct {
	Uplink      string   `toml:"uplink"`      // the only interface by which they leave; "" is any
	VLAN        int      `toml:"vlan"`        // of that interface, made by us; 0 is none
	Address     []string `toml:"address"`     // this host's in the VLAN, as 192.0.2.10/24; at most one of each family
	Gateway     []string `toml:"gateway"`     // the VLAN's routers, likewise
	Closed      []string `toml:"closed"`      // the school's own blocks, as 192.0.2.0/24
	Open        []string `toml:"open"`        // exceptions, ADDRESS:PORT
	Inside      bool     `toml:"inside"`      // only Open, the resolver and the proxy
	Rate        int      `toml:"rate"`        // new connections a second
	Burst       int      `toml:"burst"`       // of them at once
	Connections int      `toml:"connections"` // open at a time
	Packets     int      `toml:"packets"`     // other than TCP, a second
}

// webProxy is what the heart tells sites about the proxy.
func (c Config) webProxy() site.WebProxy {
	return site.WebProxy{URL: c.Proxy.URL, Direct: c.Proxy.Direct}
}

// buildProxy is what template builds use: their own proxy if one is named, else the school's.
func (c Config) buildProxy() (proxy, direct string) {
	return cmp.Or(c.Template.Proxy, c.Proxy.URL), strings.Join(c.Proxy.Direct, ",")
}

func (c Config) checkEgress() error {
	if c.Proxy.URL != "" {
		if u, err := url.Parse(c.Proxy.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return fmt.Errorf("proxy.url %q: want http://NAME:PORT", c.Proxy.URL)
		}
	}
	if _, err := addresses(c.Resolvers); err != nil {
		return fmt.Errorf("resolvers: %w", err)
	}
	segments, err := c.segments()
	if err != nil {
		return err
	}
	for name := range c.Egress {
		if !hasSegment(segments, name) {
			return fmt.Errorf("egress.%s: no such segment", name)
		}
	}
	policies, err := c.policies(nil)
	if err != nil {
		return err
	}
	return network.Config{Instance: c.Instance, Segments: segments, Policies: policies}.Check()
}

func hasSegment(all []network.Segment, name string) bool {
	for _, s := range all {
		if s.Name == name {
			return true
		}
	}
	return false
}

// leaving gives the segments their ways out.
func (c Config) leaving(all []network.Segment) error {
	for i := range all {
		if err := c.Egress[all[i].Name].leave(&all[i]); err != nil {
			return fmt.Errorf("egress.%s: %w", all[i].Name, err)
		}
	}
	return nil
}

func (e Egress) leave(s *network.Segment) error {
	s.Uplink, s.VLAN = e.Uplink, e.VLAN
	for _, word := range e.Address {
		own, err := netip.ParsePrefix(word)
		if err != nil {
			return fmt.Errorf("address %q: want this host's own in the VLAN, as 192.0.2.10/24", word)
		}
		if err := fill(own, own.Addr().Is4(), &s.Address4, &s.Address6); err != nil {
			return fmt.Errorf("address %s: %w", word, err)
		}
	}
	for _, word := range e.Gateway {
		router, err := netip.ParseAddr(word)
		if err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
		if err := fill(router, router.Is4(), &s.Gateway4, &s.Gateway6); err != nil {
			return fmt.Errorf("gateway %s: %w", word, err)
		}
	}
	return nil
}

// fill puts a value into the place of its family, which has to be free.
func fill[T comparable](value T, is4 bool, four, six *T) error {
	place := six
	if is4 {
		place = four
	}
	if *place != *new(T) {
		return errors.New("one of each family is enough")
	}
	*place = value
	return nil
}

// borrowed is the same configuration for another instance beside the one that runs: a VLAN is one instance's alone, so
// the other leaves by the interface that stands there.
func borrowed(all map[string]Egress) map[string]Egress {
	out := map[string]Egress{}
	for name, e := range all {
		if e.VLAN != 0 {
			e.Uplink = fmt.Sprintf("%s.%d", e.Uplink, e.VLAN)
			e.VLAN, e.Address, e.Gateway = 0, nil, nil
		}
		out[name] = e
	}
	return out
}

// policies are the written ones, with the school's proxy open to all.
func (c Config) policies(proxy []netip.AddrPort) (map[string]network.Policy, error) {
	segments, err := c.segments()
	if err != nil {
		return nil, err
	}
	out := map[string]network.Policy{}
	for _, s := range segments {
		p, err := c.Egress[s.Name].policy()
		if err != nil {
			return nil, fmt.Errorf("egress.%s: %w", s.Name, err)
		}
		p.Open = append(p.Open, proxy...)
		out[s.Name] = p
	}
	return out, nil
}

func (e Egress) policy() (network.Policy, error) {
	p := network.Policy{Inside: e.Inside, Rate: e.Rate, Burst: e.Burst, Connections: e.Connections, Packets: e.Packets}
	for _, s := range e.Closed {
		block, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("closed: %w", err)
		}
		p.Closed = append(p.Closed, block)
	}
	for _, s := range e.Open {
		to, err := netip.ParseAddrPort(s)
		if err != nil {
			return p, fmt.Errorf("open: %w", err)
		}
		p.Open = append(p.Open, to)
	}
	return p, nil
}

// proxyAddrs are where the proxy listens, asked of the host's resolver once, when the runtime starts: what sites may
// reach must not follow whatever a name says later.
func (c Config) proxyAddrs(ctx context.Context) ([]netip.AddrPort, error) {
	if c.Proxy.URL == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Proxy.URL)
	if err != nil {
		return nil, fmt.Errorf("proxy.url: %w", err)
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("proxy.url: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("proxy.url: %w", err)
	}
	var list []netip.AddrPort
	for _, a := range all {
		list = append(list, netip.AddrPortFrom(a.Unmap(), uint16(port)))
	}
	return list, nil
}

// resolvers are who answers the sites: those of the configuration, else the host's own.
func (c Config) resolvers(log *slog.Logger) ([]netip.Addr, error) {
	if len(c.Resolvers) > 0 {
		return addresses(c.Resolvers)
	}
	found := hostResolvers("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
	if len(found) == 0 {
		log.Warn("sites cannot look up names: the host's resolver answers on its loopback only; name one under resolvers")
	}
	return found, nil
}

// hostResolvers reads files of resolv.conf's form, and takes those of the first that names one a site can reach: the
// first of each family. A resolver on the host's loopback is none; systemd's keeps its own upstreams in the second file.
func hostResolvers(files ...string) []netip.Addr {
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		families := map[bool]bool{}
		var all []netip.Addr
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "nameserver" {
				continue
			}
			a, err := netip.ParseAddr(words[1])
			if err != nil || a.IsLoopback() || a.Zone() != "" || a.IsLinkLocalUnicast() || families[a.Is4()] {
				continue
			}
			families[a.Is4()] = true
			all = append(all, a)
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

func addresses(words []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, w := range words {
		a, err := netip.ParseAddr(w)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
