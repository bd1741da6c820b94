package selfcheck

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/probe"
)

// canaries are what the host puts out for the probes to miss. Everything of them is gone after remove.
type canaries struct {
	instance string
	world    probe.World
	dir      string
	segment  int // of SysV shared memory
	tap      *tap
	shared   shared
	closers  []interface{ Close() error }

	mu   sync.Mutex
	seen map[string]bool // names of probes whose packets arrived
}

func setCanaries(instance string) (_ *canaries, err error) {
	c := &canaries{instance: instance, segment: -1, seen: map[string]bool{}}
	defer func() {
		if err != nil {
			c.remove()
		}
	}()
	c.world.Secret = rand.Text()
	if c.world.HostName, err = os.Hostname(); err != nil {
		return nil, err
	}
	if c.world.Process, err = probe.ProcessAt("/proc/self"); err != nil {
		return nil, err
	}
	if err := c.putFile(); err != nil {
		return nil, err
	}
	if err := c.putSegment(); err != nil {
		return nil, err
	}
	c.world.Abstract = "petitpont-selfcheck-" + rand.Text()
	l, err := net.Listen("unix", "@"+c.world.Abstract)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, l)
	if c.tap, err = openTap(instance, c.arrived); err != nil {
		return nil, err
	}
	return c, nil
}

// putFile puts the secret where everybody of the host may read it.
func (c *canaries) putFile() error {
	var err error
	if c.dir, err = os.MkdirTemp("/var/tmp", "petitpont-selfcheck-"); err != nil {
		return err
	}
	c.world.HostFile = filepath.Join(c.dir, "secret")
	return errors.Join(os.Chmod(c.dir, 0o755), os.WriteFile(c.world.HostFile, []byte(c.world.Secret), 0o644))
}

func (c *canaries) putSegment() error {
	key, err := rand.Int(rand.Reader, big.NewInt(1<<30))
	if err != nil {
		return err
	}
	c.world.SharedKey = int(key.Int64()) + 1
	c.segment, err = unix.SysvShmGet(c.world.SharedKey, 4096, unix.IPC_CREAT|unix.IPC_EXCL|0o666)
	return err
}

// listen puts a server on every address of the host, also on those of the bridges, and finds the gateway of a site.
func (c *canaries) listen(w *probe.World, site netip.Addr) error {
	tcp, err := net.Listen("tcp", ":0")
	if err != nil {
		return err
	}
	c.closers = append(c.closers, tcp)
	port := tcp.Addr().(*net.TCPAddr).Port
	udp, err := net.ListenPacket("udp", ":"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	c.closers = append(c.closers, udp)
	go c.receive(udp)
	cards, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, card := range cards {
		all, err := card.Addrs()
		if err != nil {
			continue // it went away
		}
		for _, a := range all {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				c.note(w, card, p, port, site)
			}
		}
	}
	if w.Gateway4 == "" {
		return fmt.Errorf("no bridge of %s leads to %s", c.instance, site)
	}
	return nil
}

// note adds an address of the host. Link-local ones are tried on the bridge that the site is plugged into.
func (c *canaries) note(w *probe.World, card net.Interface, p netip.Prefix, port int, site netip.Addr) {
	a, ours := p.Addr(), strings.HasPrefix(card.Name, c.instance+"_")
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast() && !(ours && a.Is6()):
		return
	case a.IsLinkLocalUnicast():
		a = a.WithZone("eth0")
	case ours && a.Is4() && p.Masked().Contains(site):
		w.Gateway4 = a.String()
	case ours && a.Is6() && w.Gateway6 == "" && p.Masked().Contains(netip.MustParseAddr(w.Forge6)):
		w.Gateway6 = a.String()
	}
	w.Host = append(w.Host, netip.AddrPortFrom(a, uint16(port)).String())
}

func (c *canaries) receive(udp net.PacketConn) {
	b := make([]byte, 2048)
	for {
		n, _, err := udp.ReadFrom(b)
		if err != nil {
			return
		}
		if name := marked(b[:n]); name == byUDP {
			c.arrived(name)
		}
	}
}

// byUDP is the one probe whose datagrams may come as far as the bridge, but not to a server.
const byUDP = "host's services by UDP"

func (c *canaries) arrived(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[name] = true
}

// see adds to the findings what arrived here since the last time.
func (c *canaries) see(found map[string]probe.Finding) {
	c.tap.drain()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.seen {
		f := found[name]
		f.Name, f.Got = name, "the host received it"
		found[name] = f
	}
	clear(c.seen)
	for name, got := range c.shared.changed() {
		found[name] = probe.Finding{Name: name, Got: got}
	}
}

func (c *canaries) remove() {
	if c.tap != nil {
		c.tap.close()
	}
	for _, l := range c.closers {
		_ = l.Close()
	}
	if c.segment >= 0 {
		_, _ = unix.SysvShmCtl(c.segment, unix.IPC_RMID, nil)
	}
	if c.dir != "" {
		_ = os.RemoveAll(c.dir)
	}
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
