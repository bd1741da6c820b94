package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	sysctlRoot = "/proc/sys/net/"
	mark       = "petitpont" // begins the alias of every bridge, of every instance
	aliasMax   = 255         // bytes the kernel keeps
)

// before holds the sysctls of the host that Open had to change, as "path=value". It is kept in the alias of the
// bridges, so that it outlives a killed process and is handed on between instances: the last to close restores.
type before []string

var forwarding = map[string]string{"ipv4": "ipv4/ip_forward", "ipv6": "ipv6/conf/all/forwarding"}

// fenced tells that the host forwarded nothing of this family before. Then the rules keep it from routing between its
// own interfaces now; containers and tunnels of others, which bring rules of their own, are left alone.
func (b before) fenced(family string) bool {
	for _, kv := range b {
		if kv == forwarding[family]+"=0" {
			return true
		}
	}
	return false
}

// readBefore finds what a living bridge of any instance remembers; without one, what has to change is read now.
func (n *Network) readBefore(links []netlink.Link) before {
	for _, l := range links {
		if rest, ok := strings.CutPrefix(l.Attrs().Alias, mark+" "); ok && l.Type() == "bridge" {
			return strings.Fields(rest)
		}
	}
	var b before
	for _, family := range n.families() {
		if v, _ := getSysctl(forwarding[family]); v == "0" {
			b = append(b, forwarding[family]+"=0")
		}
	}
	if b.fenced("ipv6") {
		b = append(b, n.listeners(links)...)
	}
	return b.fit(n)
}

// listeners are the interfaces by which the host learns its own IPv6 routes. A router does not listen to routers
// unless told so (accept_ra 2): without this, turning forwarding on takes the host's IPv6 away.
func (n *Network) listeners(links []netlink.Link) before {
	var b before
	for _, l := range links {
		path := "ipv6/conf/" + l.Attrs().Name + "/accept_ra"
		if v, _ := getSysctl(path); v == "1" && l.Type() == "device" && l.Attrs().Flags&unix.IFF_LOOPBACK == 0 &&
			l.Attrs().Name != "lo" {
			b = append(b, path+"=1")
		}
	}
	return b
}

// fit drops what an alias cannot hold.
func (b before) fit(n *Network) before {
	for len(mark)+1+len(strings.Join(b, " ")) > aliasMax {
		n.log.Warn("sysctl not changed: no room to remember it", "sysctl", b[len(b)-1])
		b = b[:len(b)-1]
	}
	return b
}

func (n *Network) bridgeAlias() string { return mark + " " + strings.Join(n.before, " ") }

// forward turns on what Open found off.
func (n *Network) forward() error {
	for i := len(n.before) - 1; i >= 0; i-- { // accept_ra before forwarding
		path, _, _ := strings.Cut(n.before[i], "=")
		value := "1"
		if strings.HasSuffix(path, "/accept_ra") {
			value = "2"
		}
		if err := setSysctl(path, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// restore puts the sysctls back, unless another instance still needs them.
func (n *Network) restore(links []netlink.Link) error {
	for _, l := range links {
		if l.Type() == "bridge" && strings.HasPrefix(l.Attrs().Alias, mark+" ") && !n.owns(l) {
			return nil
		}
	}
	var errs []error
	for _, kv := range n.before {
		path, value, _ := strings.Cut(kv, "=")
		if err := setSysctl(path, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (n *Network) families() []string {
	if n.v6 {
		return []string{"ipv4", "ipv6"}
	}
	return []string{"ipv4"}
}

func hasIPv6() bool {
	v, err := getSysctl("ipv6/conf/all/disable_ipv6")
	return err == nil && v == "0"
}

func getSysctl(path string) (string, error) {
	b, err := os.ReadFile(sysctlRoot + path)
	return strings.TrimSpace(string(b)), err
}

// setSysctl writes only what differs: some of them walk every interface when written.
func setSysctl(path, value string) error {
	if have, err := getSysctl(path); err == nil && have == value {
		return nil
	}
	if err := os.WriteFile(sysctlRoot+path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("sysctl %s: %w", path, err)
	}
	return nil
}
