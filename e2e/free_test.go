package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
)

// freePorts finds ports that nobody listens on, by either family. They lie below those that the kernel gives to
// connections (ip_local_port_range, from 32768): one of that range could be taken before the demo has it.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if !slices.Contains(ports, port) && free(port) {
			ports = append(ports, port)
		}
		if len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("no free ports")
}

func free(port int) bool {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

var blocks atomic.Int32

// freeBlock finds a network for the sites of one demo: a part of 10.128.0.0/9 where no interface has an address and no
// other demo of this run is. Tests of the driver, which run at the same time, have the other half.
func freeBlock() (netip.Prefix, error) {
	used, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}, err
	}
	for range 32 {
		n := (os.Getpid() + int(blocks.Add(1))) % 32
		block := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(128 + 4*n), 0, 0}), 14)
		if !slices.ContainsFunc(used, func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err == nil && p.Overlaps(block)
		}) {
			return block, nil
		}
	}
	return netip.Prefix{}, errors.New("this machine uses all of 10.128.0.0/9")
}
