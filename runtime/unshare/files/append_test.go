package files_test

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

const piece, pieces = 32 << 10, 64

// TestAppendedPiecesKeepTheirOrder however the server's workers take them, for clients that count from the start of the
// file and for those that count from its end. The pieces are put on the wire one behind the other, as a client does.
func TestAppendedPiecesKeepTheirOrder(t *testing.T) {
	b := newBox(t)
	whole := make([]byte, piece*pieces)
	for i := range whole {
		whole[i] = byte(i / piece)
	}
	for name, there := range map[string]int{"one piece is there": 1, "more is there than workers take at once": 20} {
		for _, from := range []int{there * piece, 0} {
			b.must(os.WriteFile(b.www(name), whole[:there*piece], 0o644))
			b.own(name)
			conn, _ := b.connect()
			w := wire{b, conn}
			handle := w.open(name, 0x2|0x4) // SSH_FXF_WRITE, SSH_FXF_APPEND
			go func() {
				for i := range pieces - there {
					w.write(handle, from+i*piece, whole[(there+i)*piece:(there+i+1)*piece])
				}
			}()
			for range pieces - there {
				w.ok()
			}
			if b.read(b.www(name)) != string(whole) {
				t.Errorf("%s, offsets from %d: the pieces are not in order", name, from)
			}
			b.must(conn.Close())
		}
	}
}

// wire speaks SFTP version 3 packet by packet (draft-ietf-secsh-filexfer-02), where a test must say in which order.
type wire struct {
	box
	net.Conn
}

func (w wire) open(name string, flags uint32) (handle string) {
	w.send(1, u32(3)) // SSH_FXP_INIT
	w.receive(2)
	w.send(3, u32(1), text(name), u32(flags), u32(0)) // SSH_FXP_OPEN
	return string(w.receive(102)[8:])                 // SSH_FXP_HANDLE: id, length, handle
}

func (w wire) write(handle string, off int, data []byte) {
	w.send(6, u32(2), text(handle), u32(0), u32(uint32(off)), text(string(data))) // SSH_FXP_WRITE
}

func (w wire) ok() {
	if code := binary.BigEndian.Uint32(w.receive(101)[4:]); code != 0 { // SSH_FXP_STATUS: id, code
		w.t.Errorf("status %d", code)
	}
}

func (w wire) send(kind byte, parts ...string) {
	body := string(kind) + strings.Join(parts, "")
	if _, err := io.WriteString(w, u32(uint32(len(body)))+body); err != nil {
		w.t.Error(err)
	}
}

func (w wire) receive(kind byte) []byte {
	w.t.Helper()
	head := make([]byte, 5)
	_, err := io.ReadFull(w, head)
	w.must(err)
	body := make([]byte, binary.BigEndian.Uint32(head)-1)
	_, err = io.ReadFull(w, body)
	w.must(err)
	if head[4] != kind {
		w.t.Fatalf("packet %d %q; want %d", head[4], body, kind)
	}
	return body
}

func u32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func text(s string) string { return u32(uint32(len(s))) + s }
