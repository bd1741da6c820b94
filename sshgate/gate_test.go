package sshgate

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"petitpont/views/i18n"
)

var testKeys = sync.OnceValues(func() ([]gossh.Signer, error) {
	dir, err := os.MkdirTemp("", "gate-keys-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return LoadOrCreateHostKeys(dir)
})

// bench is a gate on a loopback port and what a client needs to reach it.
type bench struct {
	t     testing.TB
	sites *fakeSites
	gate  *Gate
	port  string
	pid   int    // of a gate in a process of its own
	home  string // of the client: known_hosts, askpass, local files
	log   *syncBuffer
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	return newWeakBench(t, func(*bench) {}, change...)
}

// newWeakBench takes parts of the guard away before the gate serves.
func newWeakBench(t *testing.T, weaken func(*bench), change ...func(*Config)) *bench {
	t.Helper()
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, sites: newSites(t), home: t.TempDir(), log: &syncBuffer{}}
	config := Config{Sites: b.sites, HostKeys: keys, Lang: i18n.FR, Port: 2222, Log: slog.New(slog.NewTextHandler(b.log, nil))}
	for _, f := range change {
		f(&config)
	}
	b.gate = New(config)
	weaken(b)
	b.serve()
	b.prepareClient(keys[0])
	return b
}

func (b *bench) serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	_, b.port, _ = net.SplitHostPort(l.Addr().String())
	ended := make(chan error, 1)
	go func() { ended <- b.gate.Serve(l) }()
	b.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		b.gate.Close(ctx)
		if err := <-ended; err != ErrClosed {
			b.t.Errorf("Serve: %v", err)
		}
		if b.t.Failed() {
			b.t.Log(b.log.String())
		}
	})
}

func (b *bench) prepareClient(key gossh.Signer) {
	known := fmt.Sprintf("[127.0.0.1]:%s %s", b.port, gossh.MarshalAuthorizedKey(key.PublicKey()))
	b.local("known_hosts", known)
	b.local("askpass", "#!/bin/sh\necho \"$GATE_PASSWORD\"\n")
	if err := os.Chmod(b.at("askpass"), 0o700); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) at(name string) string { return filepath.Join(b.home, name) }

func (b *bench) local(name, text string) string {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.at(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.at(name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
	return b.at(name)
}

// result is what a client program did.
type result struct {
	out, err string
	code     int
}

// client runs one of OpenSSH's programs. The password is that of the login in user unless env says otherwise.
func (b *bench) client(user, stdin, program string, args ...string) result {
	b.t.Helper()
	return b.clientEnv(nil, user, stdin, program, args...)
}

func (b *bench) clientEnv(env []string, user, stdin, program string, args ...string) result {
	b.t.Helper()
	cmd := b.command(env, user, program, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Run()
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func (b *bench) options() []string {
	return []string{
		"-F", "none", "-o", "UserKnownHostsFile=" + b.at("known_hosts"), "-o", "StrictHostKeyChecking=yes",
		"-o", "PubkeyAuthentication=no", "-o", "SendEnv=LANG LC_*", "-o", "ConnectTimeout=60", "-o", "BatchMode=no",
	}
}

func (b *bench) command(env []string, user, program string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	b.t.Cleanup(cancel)
	port := "-P"
	if program == "ssh" {
		port = "-p"
	}
	cmd := exec.CommandContext(ctx, program, append(append(b.options(), port, b.port), args...)...)
	login, _ := splitName(user)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.home, "SSH_ASKPASS=" + b.at("askpass"), "SSH_ASKPASS_REQUIRE=force",
		"GATE_PASSWORD=secret-" + login, "LANG=C.UTF-8",
	}, env...)
	cmd.Dir = b.home
	return cmd
}

func (b *bench) sftp(user, batch string) result {
	b.t.Helper()
	return b.client(user, "", "sftp", "-b", b.local("batch", batch), user+"@127.0.0.1")
}

func (r result) ok(t *testing.T) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit %d\nout: %s\nerr: %s", r.code, r.out, r.err)
	}
	return r
}

func (r result) fails(t *testing.T, code int, text string) result {
	t.Helper()
	if r.code != code || !strings.Contains(r.out+r.err, text) {
		t.Fatalf("exit %d, want %d and %q\nout: %s\nerr: %s", r.code, code, text, r.out, r.err)
	}
	return r
}

// eventually waits for a fact.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !fact(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never came true: " + what)
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
