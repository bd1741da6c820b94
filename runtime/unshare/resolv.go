package unshare

import (
	"fmt"
	"net/netip"
)

// resolvConf names the one resolver of a site: its gateway, whoever answers behind it. Invalid: there is none.
func resolvConf(resolver netip.Addr) string {
	if !resolver.IsValid() {
		return ""
	}
	return fmt.Sprintf("nameserver %s\n", resolver)
}
