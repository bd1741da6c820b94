package unshare

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// hostResolvers are those of the host that a site can reach too: not one on the host's own loopback.
func hostResolvers() []netip.Addr {
	all := []netip.Addr{}
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return all
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && !a.IsLoopback() {
			all = append(all, a)
		}
	}
	return all
}

func resolvConf(dns []netip.Addr) string {
	var b strings.Builder
	for _, a := range dns {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	return b.String()
}
