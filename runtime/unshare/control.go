package unshare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// control is one connection to the init of a box: one command (runtime/unshare/init/init.c lists them).
type control struct{ *net.UnixConn }

const maxPacket = 1 << 17

// dialInit connects to a box's init. The path goes through a descriptor, because a socket's may hold 107 bytes only.
func dialInit(dir string) (control, error) {
	d, err := os.Open(dir)
	if err != nil {
		return control{}, fmt.Errorf("reach init: %w", err)
	}
	defer func() { _ = d.Close() }()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Net: "unixpacket", Name: viaFD(d, "init.sock")})
	if err != nil {
		return control{}, fmt.Errorf("reach init: %w", err)
	}
	return control{conn}, nil
}

func viaFD(dir *os.File, name string) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), name)
}

// listenInit makes the socket that init will listen on.
func listenInit(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "init.sock")
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: viaFD(d, "init.sock")}), unix.Listen(fd, 128)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// fields is a command in the form init reads.
type fields []string

func (f *fields) add(s ...string) { *f = append(*f, s...) }

func (f *fields) number(n ...int) {
	for _, n := range n {
		f.add(strconv.Itoa(n))
	}
}

func (f *fields) list(l []string) {
	f.number(len(l))
	f.add(l...)
}

// send sends a command with descriptors.
func (c control) send(f fields, files ...*os.File) error {
	for _, s := range f {
		if strings.ContainsRune(s, 0) {
			return fmt.Errorf("a zero byte in %q", s)
		}
	}
	b := []byte(strings.Join(f, "\x00") + "\x00")
	if len(b) > maxPacket-1 {
		return fmt.Errorf("command of %d bytes is too long", len(b))
	}
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(b, oob, nil)
	return err
}

// answer waits for the next packet, and the descriptor that may come with it. "error" packets become errors.
func (c control) answer() ([]string, *os.File, error) {
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, errors.New("init hung up")
	}
	f := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
	if f[0] == "error" {
		return nil, nil, errors.New("init: " + strings.Join(f[1:], " "))
	}
	return f, oneFile(oob[:oobn]), nil
}

// first is the answer that init gives at once; later ones may take for ever.
func (c control) first() ([]string, *os.File, error) {
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, nil, err
	}
	f, file, err := c.answer()
	return f, file, errors.Join(err, c.SetReadDeadline(time.Time{}))
}

func oneFile(oob []byte) *os.File {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	unix.CloseOnExec(fds[0])
	_ = unix.SetNonblock(fds[0], true)
	return os.NewFile(uintptr(fds[0]), "from init")
}

// ask sends one command and waits for its one answer, no longer than ctx.
func ask(ctx context.Context, dir string, f fields) ([]string, error) {
	c, err := dialInit(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.send(f); err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	got, _, err := c.answer()
	if err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	return got, nil
}

// service is what init has to know of one.
type service struct {
	name string
	user user
	stop int // signal
	argv []string
	env  []string
}

func startCommand(services []service) fields {
	f := fields{"start"}
	f.number(len(services))
	for _, s := range services {
		f.add(s.name)
		f.number(s.user.uid, s.user.gid, s.stop)
		f.list(s.argv)
		f.list(s.env)
	}
	return f
}
