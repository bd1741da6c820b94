package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Listeners reach serve as inherited descriptors, by systemd's protocol (sd_listen_fds(3)): from descriptor 3 on,
// LISTEN_FDS of them, named by LISTEN_FDNAMES. So the process that the world can reach needs no right to bind port 80,
// and connections wait in the kernel's backlog while it restarts. `petitpont demo` hands them down the same way.
const firstListener = 3

// door names a public listener; several descriptors may carry one name (IPv4 and IPv6).
type door string

const (
	doorPanel door = "panel"
	doorSites door = "sites"
	doorGate  door = "gate"
)

// inheritedListeners takes the listeners our parent left us. LISTEN_PID is honoured when it is set: systemd sets it,
// a parent that forks cannot know it.
func inheritedListeners() (map[door][]net.Listener, error) {
	if pid := os.Getenv("LISTEN_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	found := map[door][]net.Listener{}
	for i := range n {
		f := os.NewFile(uintptr(firstListener+i), "listener")
		l, err := net.FileListener(f)
		_ = f.Close() // net.FileListener has its own copy
		if err != nil {
			return nil, fmt.Errorf("inherited descriptor %d: %w", firstListener+i, err)
		}
		name := doorSites
		if i < len(names) {
			name = door(names[i])
		}
		found[name] = append(found[name], l)
	}
	return found, nil
}

// doorAddr says where a door listens.
type doorAddr struct {
	name  door
	addrs []string
}

func (c Config) doorAddrs() []doorAddr {
	return []doorAddr{{doorPanel, c.Panel.Listen}, {doorSites, c.Sites.Listen}, {doorGate, c.SSH.Listen}}
}

// openListeners opens what the configuration names, for a parent that hands them down.
func openListeners(c Config) (files []*os.File, names []string, err error) {
	for _, d := range c.doorAddrs() {
		for _, addr := range d.addrs {
			f, err := listenFile(addr)
			if err != nil {
				closeAll(files)
				return nil, nil, fmt.Errorf("listen for the %s: %w", d.name, err)
			}
			files, names = append(files, f), append(names, string(d.name))
		}
	}
	return files, names, nil
}

func listenFile(addr string) (*os.File, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	return l.(*net.TCPListener).File()
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
