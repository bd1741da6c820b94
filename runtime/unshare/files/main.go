// Package files is the SFTP server of one session. It runs inside the box, so that every path is resolved by the
// kernel with the tenant's own rights in the tenant's own tree; the host only relays bytes.
//
//	client -- SSH -- gate -- socket -- petitpont-box files (chroot /home/site, uid 1000) -- the site's disk
package files

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	goruntime "runtime"
	"runtime/debug"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"
)

// maxPacket is the most one READ is answered with. Clients that may ask for more than 32 KiB are a third faster.
const maxPacket = 255 << 10

// Main serves one client on standard input, which is a socket, until it leaves. It is started as the container's
// root and gives that up before the first byte. It returns the exit status.
func Main() int {
	goruntime.GOMAXPROCS(1) // requests wait for the disk, not for the processor
	debug.SetGCPercent(50)
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "files:", err)
		return 1
	}
	return 0
}

func run() error {
	if err := confine(); err != nil {
		return err
	}
	if err := hide(); err != nil {
		return fmt.Errorf("hide: %w", err)
	}
	stream, err := stdio()
	if err != nil {
		return err
	}
	err = Serve(stream)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.ECONNRESET) {
		return nil // the client left, with or without closing its files
	}
	return err
}

// Serve speaks SFTP version 3 on the stream, about the file system of this process, from /www if there is such a
// folder. It closes the stream.
func Serve(stream io.ReadWriteCloser) error {
	start := "/www"
	if info, err := os.Stat(start); err != nil || !info.IsDir() {
		start = "/"
	}
	h := &handlers{start: start, open: map[string][]*file{}}
	server := sftp.NewRequestServer(stream, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithStartDirectory(start), sftp.WithRSMaxTxPacket(maxPacket))
	return errors.Join(server.Serve(), ignoreClosed(server.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// stdio is the socket on standard input, under Go's poller.
func stdio() (io.ReadWriteCloser, error) {
	conn, err := net.FileConn(os.Stdin)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return conn, errors.Join(os.Stdin.Close(), os.Stdout.Close())
}
