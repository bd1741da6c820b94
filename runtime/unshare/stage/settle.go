package stage

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// settle gives the box its name, its loopback and the two files by which programs find others.
func settle(p Plan) error {
	if !p.off(UTSSpace) { // else it would be the host's
		if err := unix.Sethostname([]byte(p.Hostname)); err != nil {
			return fmt.Errorf("set host name: %w", err)
		}
	}
	if !p.off(NetSpace) {
		if err := loopback(); err != nil {
			return fmt.Errorf("set loopback up: %w", err)
		}
	}
	return errors.Join(replace("hosts", p.Hosts), replace("resolv.conf", p.Resolv))
}

// replace gives /etc/name the text, if it does not have it. An /etc the tenant has broken stays as it is: the box's
// own programs suffer from that, nobody else.
func replace(name, text string) error {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(root) }()
	etc, err := open(root, "etc", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(etc) }()
	if has(etc, name, text) {
		return nil
	}
	_ = unix.Unlinkat(etc, name, 0)
	fd, err := unix.Openat(etc, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	if _, err := unix.Write(fd, []byte(text)); errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil // a full disk is no reason not to start: the owner has to get in to make room
	} else if err != nil {
		return fmt.Errorf("write /etc/%s: %w", name, err)
	}
	return nil
}

// has tells whether name is a plain file with exactly that text. It never waits at a FIFO.
func has(etc int, name, text string) bool {
	fd, err := open(etc, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != int64(len(text)) {
		return false
	}
	buf := make([]byte, len(text)+1)
	n, err := unix.Read(fd, buf)
	return err == nil && bytes.Equal(buf[:max(n, 0)], []byte(text))
}
