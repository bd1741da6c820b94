package sshgate

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// waiting is a connection from an address that has not logged in.
func waiting(t *testing.T, g *Gate, from string) *conn {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	c := newConn(g, here)
	c.source = source(netip.MustParseAddr(from))
	g.guard.admit(c)
	return c
}

func closed(c *conn) bool { return c.ctx.Err() != nil }

func TestWhoHasToGo(t *testing.T) {
	for name, c := range map[string]struct {
		total, perSource int
		from             []string // the last of them makes it one too many
		greeted          []int
		gone             int
	}{
		"the one that has waited longest, of its own source": {9, 2, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, nil, 0},
		"of the most crowded source, when the house is full": {3, 3, []string{"192.0.2.9", "192.0.2.1", "192.0.2.1", "192.0.2.5"}, nil, 1},
		"not one whose person may be typing":                 {9, 2, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, []int{0}, 1},
		"unless all of them may":                             {9, 2, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, []int{0, 1}, 0},
		"one IPv6 house is one source":                       {9, 2, []string{"2001:db8::1", "2001:db8::2", "2001:db8::3"}, nil, 0},
		"its neighbour is another":                           {9, 2, []string{"2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"}, nil, -1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(cfg *Config) { cfg.Limits.Pending, cfg.Limits.PendingPerSource = c.total, c.perSource })
			var all []*conn
			for i, from := range c.from {
				if i == len(c.from)-1 {
					for _, n := range c.greeted {
						all[n].greeted.Store(true)
					}
				}
				all = append(all, waiting(t, b.gate, from))
			}
			for i, one := range all {
				if closed(one) != (i == c.gone) {
					t.Errorf("connection %d: closed is %v", i, closed(one))
				}
			}
		})
	}
}

func TestEachLimitOfTheEnvironmentHoldsAlone(t *testing.T) {
	b := newBench(t)
	s, err := b.login("eleve").NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Setenv("LANG", strings.Repeat("x", maxEnvSize+1)); err == nil {
		t.Error("a long variable was taken")
	}
	for i := range maxEnv + 1 {
		if err := s.Setenv("LC_ALL", "fr"); (err == nil) != (i < maxEnv) {
			t.Errorf("variable %d: %v", i, err)
		}
	}
}

func TestPasswordsOfOneConnectionAreCounted(t *testing.T) {
	b := newBench(t)
	tries := 0
	guess := gossh.PasswordCallback(func() (string, error) { tries++; return "wrong", nil })
	if _, err := b.dial(&gossh.ClientConfig{User: "eleve", Auth: []gossh.AuthMethod{gossh.RetryableAuthMethod(guess, 100)}}); err == nil {
		t.Fatal("logged in")
	}
	if n := len(b.sites.tried()); n != b.gate.Limits.Tries {
		t.Errorf("%d passwords were tried", n)
	}
}

func TestAConnectionOnWhichNothingMovesEnds(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits.Idle = 2 * time.Second })
	ended := make(chan error, 1)
	c := b.login("eleve")
	go func() { ended <- c.Wait() }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("it is still open")
	}
}

func TestAClientThatNeverComesToItsVersionIsCutOff(t *testing.T) {
	b := newBench(t)
	nc, err := net.Dial("tcp", "127.0.0.1:"+b.port)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(b.gate.Limits.Handshake / 2)) // it is not the deadline of the handshake that ends it
	go func() {
		for err := error(nil); err == nil; {
			_, err = io.WriteString(nc, strings.Repeat("x", 1<<10))
		}
	}()
	_, err = io.Copy(io.Discard, nc)
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		t.Error("the gate listens on")
	}
}

func TestOnlyOneSubsystemIsOffered(t *testing.T) {
	c := newBench(t).login("eleve")
	for _, name := range []string{"netconf", "sftp ", "SFTP", "/usr/lib/openssh/sftp-server", ""} {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RequestSubsystem(name); err == nil {
			t.Errorf("%q was opened", name)
		}
		s.Close()
	}
}
