package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// tunnel carries a web socket until either side ends it, the house closes, or nothing has moved for Limits.Stream.
// It counts as a use of the site all that time, because ServeHTTP leaves the site only after it.
//
// ReverseProxy has such code, but loses what the visitor sent right behind the handshake, leaks the site's connection
// when the handshake is refused late, and passes hop-by-hop headers on (golang/go #80875).
func (v *visit) tunnel(res *http.Response) error {
	back, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		return errors.New("switched connection cannot be written to")
	}
	defer back.Close() // its end is the end of the tunnel

	v.tunnels.Add(1)
	defer v.tunnels.Done()
	conn, buf, err := v.w.Hijack()
	if err != nil {
		v.show(pageFault)
		return fmt.Errorf("hijack: %w", err)
	}
	defer conn.Close() // likewise
	defer context.AfterFunc(v.Proxy.ctx, func() {
		conn.Close() // likewise
		back.Close() // likewise
	})()

	if err := v.handshake(buf.Writer, res.Header); err != nil {
		return err
	}
	early, _ := buf.Reader.Peek(buf.Reader.Buffered()) // sent right behind the handshake
	v.pump(&streamConn{Conn: conn, limit: v.limits.Stream}, early, back)
	return nil
}

// handshake tells the visitor that the site agreed.
func (v *visit) handshake(w *bufio.Writer, h http.Header) error {
	stripHop(h)
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	v.w.status = http.StatusSwitchingProtocols
	io.WriteString(w, "HTTP/1.1 101 Switching Protocols\r\n") //nolint:errcheck // bufio keeps the first error for Flush
	h.Write(w)                                                //nolint:errcheck // likewise
	io.WriteString(w, "\r\n")                                 //nolint:errcheck // likewise
	if err := w.Flush(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	return nil
}

// pump copies both ways, early first, and returns when both ends have ended, or one has failed.
func (v *visit) pump(conn net.Conn, early []byte, back io.ReadWriteCloser) {
	ended := make(chan error, 2)
	var sent int64
	go func() {
		_, err := io.Copy(back, io.MultiReader(bytes.NewReader(early), conn))
		ended <- halfClose(back, err)
	}()
	go func() {
		n, err := io.Copy(conn, back)
		sent = n
		ended <- halfClose(conn, err)
	}()
	if err := <-ended; err != nil {
		conn.Close() // wakes the other direction
		back.Close() // likewise
	}
	<-ended //nolint:errcheck // the first end is the one that counts
	v.w.written += sent
}

// halfClose passes the end of one direction on. An end that cannot be passed on ends the tunnel.
func halfClose(to any, err error) error {
	if err != nil {
		return err
	}
	half, ok := to.(interface{ CloseWrite() error })
	if !ok {
		return io.EOF
	}
	return half.CloseWrite()
}
