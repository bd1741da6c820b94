package sshgate

import (
	"strings"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// Budgets of one session, before its program starts.
const (
	maxCommand = 32 << 10 // bytes; "scp -f" of a long list of files
	maxTerm    = 64       // bytes of the name of a terminal
	maxEnv     = 16       // variables kept
	maxEnvSize = 128      // bytes of one variable
)

// openSession stands in front of gliderlabs' session handler: it counts, recovers, and lets only requests through that
// were read and found well-formed.
func (g *Gate) openSession(srv *ssh.Server, sc *gossh.ServerConn, nc gossh.NewChannel, ctx ssh.Context) {
	c := connOf(ctx)
	defer g.recovered("ssh session requests")
	if !c.openChannel() {
		_ = nc.Reject(gossh.ResourceShortage, "too many sessions")
		c.refused()
		return
	}
	defer c.closeChannel()
	f := &filter{NewChannel: nc, conn: c, done: make(chan struct{})}
	panicked := true
	defer func() {
		close(f.done)
		if panicked { // nobody would answer on this channel any more
			_ = c.Close()
		}
	}()
	ssh.DefaultSessionHandler(srv, sc, f, ctx)
	panicked = false
}

// refuseChannel turns down forwarding of every kind, and whatever has no name yet.
func refuseChannel(_ *ssh.Server, _ *gossh.ServerConn, nc gossh.NewChannel, ctx ssh.Context) {
	reason, text := gossh.UnknownChannelType, "unknown channel type"
	switch nc.ChannelType() {
	case "direct-tcpip", "direct-streamlocal@openssh.com", "tun@openssh.com":
		reason, text = gossh.Prohibited, "forwarding is not offered"
	}
	_ = nc.Reject(reason, text)
	connOf(ctx).refused()
}

// filter is a session channel whose requests are looked at before gliderlabs/ssh sees them. A pty-req with a length of
// 0xFFFFFFFC kills its process, a window-change before exec hangs the session for ever, every env is kept, and every
// agent is accepted (SAFETY.md facts 2 and 3, DEPENDENCIES.md 0.2 and 0.4).
type filter struct {
	gossh.NewChannel
	conn *conn
	env  int
	done chan struct{} // nobody reads requests any more
}

// Accept is called by gliderlabs' handler.
func (f *filter) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, in, err := f.NewChannel.Accept()
	if err != nil || f.conn.gate.off.filter {
		return ch, in, err
	}
	out := make(chan *gossh.Request)
	go f.run(in, out)
	return ch, out, nil
}

func (f *filter) run(in <-chan *gossh.Request, out chan<- *gossh.Request) {
	defer close(out)
	for req := range in {
		if !f.allows(req) {
			_ = req.Reply(false, nil)
			continue
		}
		select {
		case out <- req:
		case <-f.done:
			_ = req.Reply(false, nil)
		}
	}
}

// allows lists what may pass; a request that is not named here does not. No program of the gate has a window, so a
// window-change is dropped, before exec and after it. What only an attack sends counts towards the end of its
// connection; unknown requests do not, PuTTY sends "winadj@" all through a transfer.
func (f *filter) allows(req *gossh.Request) bool {
	switch req.Type {
	case "pty-req", "exec", "subsystem", "shell", "env", "x11-req", "auth-agent-req@openssh.com":
		ok := f.wellFormed(req)
		if !ok {
			f.conn.refused()
		}
		return ok
	}
	return false
}

func (f *filter) wellFormed(req *gossh.Request) bool {
	switch req.Type {
	case "pty-req":
		var p struct {
			Term                         string
			Columns, Rows, Width, Height uint32
			Modes                        string
		}
		return gossh.Unmarshal(req.Payload, &p) == nil && len(p.Term) <= maxTerm
	case "exec", "subsystem":
		var p struct{ Value string }
		return gossh.Unmarshal(req.Payload, &p) == nil && len(p.Value) <= maxCommand
	case "shell":
		return len(req.Payload) == 0
	case "env":
		return f.allowsEnv(req.Payload)
	}
	return false
}

// allowsEnv lets the language through, and nothing else.
func (f *filter) allowsEnv(payload []byte) bool {
	if f.conn.gate.off.env {
		return true
	}
	var v struct{ Name, Value string }
	if len(payload) > maxEnvSize+8 || gossh.Unmarshal(payload, &v) != nil || f.env >= maxEnv {
		return false
	}
	if v.Name != "LANG" && !strings.HasPrefix(v.Name, "LC_") {
		return false
	}
	f.env++
	return true
}
