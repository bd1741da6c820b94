package selfcheck

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/probe"
)

// tap hears what the bridges hand up to the host, and what leaves by a port: frames that came past the rules. What comes
// in by a port it does not count, because there a frame is heard before the rules see it.
type tap struct {
	file *os.File
	done chan struct{}
}

func openTap(instance string, arrived func(name string)) (*tap, error) {
	const everything = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in the network's byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, everything)
	if err != nil {
		return nil, fmt.Errorf("open tap: %w", err)
	}
	t := &tap{file: os.NewFile(uintptr(fd), "tap"), done: make(chan struct{})}
	go t.hear(instance, arrived)
	return t, nil
}

func (t *tap) hear(instance string, arrived func(string)) {
	defer close(t.done)
	raw, err := t.file.SyscallConn()
	if err != nil {
		return
	}
	buf, names := make([]byte, 65536), map[int]string{}
	for {
		var n int
		var from unix.Sockaddr
		err := raw.Read(func(fd uintptr) bool {
			var err error
			n, from, err = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(err, unix.EAGAIN)
		})
		if err != nil {
			return
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok {
			continue
		}
		card, leaves := cardName(names, ll.Ifindex), ll.Pkttype == unix.PACKET_OUTGOING
		name := marked(buf[:max(n, 0)])
		onward := strings.HasPrefix(name, probe.FrameToNeighbour)
		switch {
		case name == "", name == byUDP:
		case onward && leaves && strings.HasPrefix(card, instance+"-"),
			!onward && !leaves && strings.HasPrefix(card, instance+"_"):
			arrived(name)
		}
	}
}

func cardName(known map[int]string, index int) string {
	if _, ok := known[index]; !ok {
		if card, err := net.InterfaceByIndex(index); err == nil {
			known[index] = card.Name
		}
	}
	return known[index]
}

// marked finds the probe a packet is from.
func marked(packet []byte) string {
	for _, p := range probe.All() {
		if p.Seen && bytes.Contains(packet, probe.Mark(p.Name)) {
			return p.Name
		}
	}
	return ""
}

// drain waits until a packet that is under way has been heard: the queue between a site's card and the bridge is
// emptied within the same tick in which it was filled.
func (t *tap) drain() {
	select {
	case <-t.done:
	case <-time.After(50 * time.Millisecond):
	}
}

func (t *tap) close() {
	_ = t.file.Close()
	<-t.done
}
