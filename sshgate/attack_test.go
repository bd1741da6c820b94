package sshgate

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"petitpont/site"
)

// Each attack is run twice: on the gate, where it fails, and on the gate without the part of the guard that stops it,
// where it must succeed. A test whose attack no longer works would prove nothing.

func (b *bench) dial(config *gossh.ClientConfig) (*gossh.Client, error) {
	config.HostKeyCallback = gossh.InsecureIgnoreHostKey()
	config.Timeout = time.Minute
	return gossh.Dial("tcp", "127.0.0.1:"+b.port, config)
}

func (b *bench) login(user string) *gossh.Client {
	b.t.Helper()
	c, err := b.dial(withPassword(user))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

func withPassword(user string) *gossh.ClientConfig {
	login, _ := splitName(user)
	return &gossh.ClientConfig{User: user, Auth: []gossh.AuthMethod{gossh.Password("secret-" + login)}}
}

func run(c *gossh.Client, command string) (string, error) {
	s, err := c.NewSession()
	if err != nil {
		return "", err
	}
	defer s.Close()
	out, err := s.Output(command)
	return strings.TrimSpace(string(out)), err
}

// swap logs in as mallory with a wrong password, and on the same connection as victime with mallory's own password.
// x/crypto's client has one user name per connection, so the bytes of that name are changed under it.
func (b *bench) swap() (*gossh.Client, error) {
	name := []byte("mallory")
	tries := 0
	password := func() (string, error) {
		if tries++; tries == 1 {
			return "wrong", nil
		}
		copy(name, "victime")
		return "secret-mallory", nil
	}
	return b.dial(&gossh.ClientConfig{
		User: unsafe.String(&name[0], len(name)),
		Auth: []gossh.AuthMethod{gossh.RetryableAuthMethod(gossh.PasswordCallback(password), 2)},
	})
}

func TestAccountSwap(t *testing.T) {
	t.Run("the gate closes a connection whose name changes", func(t *testing.T) {
		b := newBench(t)
		if _, err := b.swap(); err == nil {
			t.Fatal("logged in")
		}
		for _, l := range b.sites.tried() {
			if strings.HasPrefix(l, "victime") {
				t.Errorf("the second name was tried: %v", b.sites.tried())
			}
		}
	})
	t.Run("the name is the first one heard, with any method", func(t *testing.T) {
		b := newBench(t)
		name := []byte("mallory")
		keys, err := testKeys()
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.dial(&gossh.ClientConfig{User: unsafe.String(&name[0], len(name)), Auth: []gossh.AuthMethod{
			gossh.PublicKeys(keys[0]),
			gossh.PasswordCallback(func() (string, error) { copy(name, "victime"); return "secret-victime", nil }),
		}})
		if err == nil {
			t.Fatal("logged in")
		}
	})
	t.Run("gliderlabs/ssh alone lets mallory in as victime", func(t *testing.T) {
		b := newWeakBench(t, func(b *bench) {
			s := b.gate.server
			s.ServerConfigCallback = nil
			s.PasswordHandler = func(ctx ssh.Context, password string) bool {
				_, err := b.sites.Login(ctx, ctx.User(), password, netip.Addr{})
				return err == nil
			}
			s.ChannelHandlers = map[string]ssh.ChannelHandler{"session": ssh.DefaultSessionHandler}
			s.Handler = func(s ssh.Session) { io.WriteString(s, s.User()) }
		})
		c, err := b.swap()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if who, err := run(c, "whoami"); who != "victime" {
			t.Fatalf("%q, %v", who, err)
		}
	})
}

func TestOnlyOneReaderOfTypedNames(t *testing.T) {
	files, _ := filepath.Glob("*.go")
	var found []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") {
			for range strings.Count(string(text), ".User()") {
				found = append(found, f)
			}
		}
	}
	if len(found) != 1 || found[0] != "auth.go" {
		t.Errorf("User() is called in %v", found)
	}
}

func TestNoneAuthentication(t *testing.T) {
	config := func() *gossh.ClientConfig { return &gossh.ClientConfig{User: "eleve"} }
	t.Run("the gate refuses it", func(t *testing.T) {
		if _, err := newBench(t).dial(config()); err == nil {
			t.Fatal("logged in without a password")
		}
	})
	t.Run("gliderlabs/ssh with callbacks of our own lets everybody in", func(t *testing.T) {
		b := newWeakBench(t, func(b *bench) {
			b.gate.server.ServerConfigCallback = func(ctx ssh.Context) *gossh.ServerConfig {
				c := b.gate.serverConfig(connOf(ctx))
				c.NoClientAuth, c.NoClientAuthCallback = false, nil
				return c
			}
		})
		c, err := b.dial(config())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}

const victimEnv = "PETITPONT_GATE_TEST_VICTIM"

// serveVictim is a gate in a process of its own, for attacks that end the process. off names the parts taken away.
func serveVictim(off string) {
	keys, err := testKeys()
	if err != nil {
		panic(err)
	}
	g := New(Config{Sites: anyone{}, HostKeys: keys, Log: slog.New(slog.DiscardHandler)})
	g.off = parts{filter: strings.Contains(off, "filter"), recover: strings.Contains(off, "recover")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	go func() { io.Copy(io.Discard, os.Stdin); os.Exit(0) }() // ends with its test
	panic(g.Serve(l))
}

// anyone is a heart that knows everybody and nothing else.
type anyone struct{}

func (anyone) Login(_ context.Context, login, _ string, _ netip.Addr) (site.Identity, error) {
	return site.Identity{Key: login, Login: login}, nil
}
func (anyone) Mine(context.Context, site.Identity) ([]site.Site, error) { return nil, nil }
func (anyone) Find(context.Context, site.Identity, string) (site.Site, error) {
	return site.Site{}, &site.Error{Code: site.CodeNotFound}
}

func (anyone) Files(context.Context, site.Identity, string) (net.Conn, error) {
	return nil, errors.New("no files")
}
func (anyone) Revoked(site.Identity) <-chan struct{} { return nil }

func startVictim(t testing.TB, off string) (b *bench, ended <-chan error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+off)
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	gone := make(chan struct{})
	go func() { done <- cmd.Wait(); close(gone) }()
	t.Cleanup(func() { stdin.Close(); <-gone })
	return &bench{t: t, port: strings.TrimSpace(port), pid: cmd.Process.Pid}, done
}

// malformedPty sends a terminal name whose length is nearly 2^32.
func malformedPty(c *gossh.Client) {
	ch, _, err := c.OpenChannel("session", nil)
	if err == nil {
		ch.SendRequest("pty-req", true, binary.BigEndian.AppendUint32(nil, 0xFFFFFFFC))
	}
}

func TestMalformedPtyRequest(t *testing.T) {
	for _, c := range []struct{ name, off string }{
		{"the filter alone stops it", "recover"},
		{"without the filter, recover ends the session alone", "filter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, ended := startVictim(t, c.off)
			malformedPty(b.login("mallory"))
			if who, err := run(b.login("eleve"), "whoami"); who != "eleve" {
				t.Errorf("%q, %v", who, err)
			}
			select {
			case err := <-ended:
				t.Errorf("the gate died: %v", err)
			default:
			}
		})
	}
	t.Run("without both the process dies", func(t *testing.T) {
		b, ended := startVictim(t, "filter recover")
		malformedPty(b.login("mallory"))
		select {
		case err := <-ended:
			if err == nil {
				t.Error("it ended without an error")
			}
		case <-time.After(time.Minute):
			t.Error("it lives")
		}
	})
}

// resize asks for a terminal, resizes it and runs a command, as a terminal does whose window is being dragged.
func resize(t *testing.T, b *bench) <-chan bool {
	t.Helper()
	ch, _, err := b.login("eleve").OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	pty := gossh.Marshal(struct {
		Term       string
		C, R, W, H uint32
		Modes      string
	}{"xterm", 80, 24, 0, 0, "\x00"})
	window := gossh.Marshal(struct{ C, R, W, H uint32 }{100, 30, 0, 0})
	if ok, err := ch.SendRequest("pty-req", true, pty); err != nil || !ok {
		t.Fatal(ok, err)
	}
	for range 3 {
		ch.SendRequest("window-change", false, window)
	}
	answered := make(chan bool, 1)
	go func() {
		ok, err := ch.SendRequest("exec", true, gossh.Marshal(struct{ V string }{"whoami"}))
		answered <- ok && err == nil
	}()
	return answered
}

func TestResizeBeforeExec(t *testing.T) {
	t.Run("the gate answers", func(t *testing.T) {
		select {
		case ok := <-resize(t, newBench(t)):
			if !ok {
				t.Error("refused")
			}
		case <-time.After(time.Minute):
			t.Error("hangs")
		}
	})
	t.Run("without the filter the session hangs", func(t *testing.T) {
		b := newWeakBench(t, func(b *bench) { b.gate.off.filter = true })
		select {
		case <-resize(t, b):
			t.Error("it answered: gliderlabs/ssh has changed")
		case <-time.After(500 * time.Millisecond):
		}
	})
}

// environment sends 5,000 variables of 30 kB and returns the memory that stays in use while the session is open.
func environment(t *testing.T, b *bench) int64 {
	t.Helper()
	before := inUse()
	ch, _, err := b.login("mallory").OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	payload := gossh.Marshal(struct{ Name, Value string }{"LANG", strings.Repeat("x", 30_000)})
	for range 5000 {
		if _, err := ch.SendRequest("env", false, payload); err != nil {
			break // the gate has had enough
		}
	}
	ch.SendRequest("env", true, payload) // answered after all of them, or the connection is closed
	return inUse() - before
}

func inUse() int64 {
	var m goruntime.MemStats
	goruntime.GC()
	goruntime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestEnvironmentFlood(t *testing.T) {
	t.Run("the gate keeps nothing of it", func(t *testing.T) {
		if n := environment(t, newBench(t)); n > 20<<20 {
			t.Errorf("%d MiB", n>>20)
		}
	})
	t.Run("without the limit it keeps everything", func(t *testing.T) {
		b := newWeakBench(t, func(b *bench) { b.gate.off.env = true })
		if n := environment(t, b); n < 100<<20 {
			t.Errorf("only %d MiB: gliderlabs/ssh has changed", n>>20)
		}
	})
	t.Run("only the language passes", func(t *testing.T) {
		b := newBench(t)
		s, err := b.login("eleve").NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for name, want := range map[string]bool{"LANG": true, "LC_ALL": true, "PATH": false, "LD_PRELOAD": false, "LC": false} {
			if err := s.Setenv(name, "en_GB.UTF-8"); (err == nil) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestHalfOpenConnections(t *testing.T) {
	flood := func(t *testing.T, b *bench) {
		t.Helper()
		for range 2000 {
			c, err := net.Dial("tcp", "127.0.0.1:"+b.port)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
	}
	held := func(b *bench) int {
		b.gate.mu.Lock()
		defer b.gate.mu.Unlock()
		return len(b.gate.conns)
	}
	t.Run("a real login gets through 2,000 of them", func(t *testing.T) {
		b := newBench(t)
		flood(t, b)
		if who, err := run(b.login("eleve"), "whoami"); who != "eleve" {
			t.Errorf("%q, %v", who, err)
		}
		if n := held(b); n > b.gate.Limits.PendingPerSource+1 {
			t.Errorf("%d connections are held", n)
		}
	})
	t.Run("without the guard all are held", func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Limits.Pending, c.Limits.PendingPerSource = 1e6, 1e6 })
		flood(t, b)
		eventually(t, "2,000 connections are held", func() bool { return held(b) >= 2000 })
	})
	t.Run("a connection that stalls after the key exchange is closed", func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Limits.Handshake = 700 * time.Millisecond })
		nc, err := net.Dial("tcp", "127.0.0.1:"+b.port)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		// The password is asked for after the key exchange; this client never answers.
		stall := gossh.PasswordCallback(func() (string, error) {
			eventually(t, "the gate has closed it", func() bool { return held(b) == 0 })
			return "", errors.New("closed")
		})
		_, _, _, err = gossh.NewClientConn(nc, "", &gossh.ClientConfig{User: "eleve", Auth: []gossh.AuthMethod{stall}, HostKeyCallback: gossh.InsecureIgnoreHostKey()})
		if err == nil {
			t.Error("logged in")
		}
	})
	t.Run("a session that has logged in outlives the deadline", func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Limits.Handshake = 700 * time.Millisecond })
		var c *gossh.Client
		eventually(t, "logged in before the deadline", func() bool { // a busy machine may need more than one try
			var err error
			c, err = b.dial(withPassword("eleve"))
			return err == nil
		})
		defer c.Close()
		<-time.After(time.Second) // the deadline has to pass: there is no other fact to wait for
		if who, err := run(c, "whoami"); who != "eleve" {
			t.Errorf("%q, %v", who, err)
		}
	})
}

func TestForwardingIsRefused(t *testing.T) {
	b := newBench(t)
	c := b.login("eleve")
	for _, kind := range []string{"direct-tcpip", "direct-streamlocal@openssh.com", "tun@openssh.com", "x11", "auth-agent@openssh.com", "nonsense"} {
		if _, _, err := c.OpenChannel(kind, nil); err == nil {
			t.Errorf("%s was opened", kind)
		}
	}
	for _, kind := range []string{"tcpip-forward", "streamlocal-forward@openssh.com", "nonsense"} {
		if ok, _, err := c.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("%s: %v %v", kind, ok, err)
		}
	}
	ch, _, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"auth-agent-req@openssh.com", "x11-req", "window-change", "signal", "nonsense"} {
		if ok, err := ch.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("%s: %v %v", kind, ok, err)
		}
	}
	t.Run("and a connection that goes on asking is closed", func(t *testing.T) {
		closed := make(chan error, 1)
		go func() { closed <- c.Wait() }()
		go func() { // not waited for: x/crypto's client may wait for ever when its connection ends while it asks
			var refused *gossh.OpenChannelError
			for range 2 * maxRefusals {
				if _, _, err := c.OpenChannel("direct-tcpip", nil); !errors.As(err, &refused) {
					return
				}
			}
		}()
		select {
		case <-closed:
		case <-time.After(time.Minute):
			t.Error("it is still open")
		}
	})
}
