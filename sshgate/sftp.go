package sshgate

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"petitpont/site"
)

// sftp is the subsystem that sftp, scp since OpenSSH 9, FileZilla, WinSCP and sshfs ask for.
func (s *session) sftp() int {
	if s.site == "" {
		return s.sftpAll()
	}
	return s.sftpOne()
}

// sftpOne joins the client to the SFTP server of one site, byte for byte: what that server can do, the client gets.
func (s *session) sftpOne() int {
	ctx := s.Context()
	files, err := s.files(ctx, s.site)
	if err != nil {
		return s.fail(ctx, s.site, err)
	}
	// A client that is gone must not leave the other end open.
	defer context.AfterFunc(ctx, func() { files.Close() })()
	began := time.Now()
	up, down, left := relay(s.Session, files)
	s.done("sftp", s.site, began, up, down)
	if left {
		return exitDone
	}
	return s.cut(ctx)
}

// cut says why the site's side ended first.
func (s *session) cut(ctx context.Context) int {
	if _, err := s.find(ctx, s.site); isCode(err, site.CodeNotFound) {
		s.say(s.t("gate.gone", map[string]string{"s": s.site}))
		return exitNotFound
	}
	s.say(s.t("gate.ended"))
	return exitFailed
}

// relaySize is the buffer of each direction: two SSH packets. An idle session holds two of them.
const relaySize = 64 << 10

// relay copies both ways until the files end, and closes them. left tells whether the client ended first, which is how
// a session normally ends: its end of file is passed on, and the last replies still come back.
func relay(client io.ReadWriter, files net.Conn) (up, down int64, left bool) {
	var sent atomic.Int64
	var eof atomic.Bool
	go func() { // ends when the caller closes the client's channel, if not before
		_, err := pump(counter{files, &sent}, client)
		eof.Store(err == nil)
		closeWrite(files)
	}()
	down, _ = pump(client, files)
	files.Close()
	return sent.Load(), down, eof.Load()
}

type counter struct {
	io.Writer
	n *atomic.Int64
}

func (c counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// pump hides the ReadFrom and WriteTo of its ends, whose buffers are smaller.
func pump(to io.Writer, from io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, relaySize))
}

// closeWrite passes an end of file on, by closing altogether where the connection has no halves.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	c.Close()
}
