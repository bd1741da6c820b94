package unshare

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/unshare/network"
	"petitpont/runtime/unshare/template/templatetest"
)

// programs holds petitpont-box and petitpont-init, built once for all tests. $PETITPONT_PROGRAMS names a folder of ready
// ones, for a machine without compilers.
var programs = os.Getenv("PETITPONT_PROGRAMS")

func TestMain(m *testing.M) { os.Exit(main(m)) }

func main(m *testing.M) int {
	sweep(context.Background())
	if programs != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "petitpont-programs-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs = dir
	build("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "petitpont-box"), "petitpont/cmd/petitpont-box")
	build("gcc", "-static", "-Os", "-Wall", "-Wextra", "-Werror", "-o", filepath.Join(dir, "petitpont-init"), "init/init.c")
	return m.Run()
}

func build(argv ...string) {
	c := exec.Command(argv[0], argv[1:]...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%s: %v\n%s", strings.Join(argv, " "), err, out))
	}
}

// rig is a driver with a network of its own.
type rig struct {
	*Driver
	net *network.Network
}

var blocks atomic.Int32

// open makes a driver under a new instance name; everything of it is gone after the test.
func open(t testing.TB) *rig {
	t.Helper()
	return openOn(t, t.TempDir())
}

// openOn is open with its sites on a volume of the test's choice.
func openOn(t testing.TB, data string) *rig {
	t.Helper()
	r := &rig{}
	c := Config{
		Data: data, Run: t.TempDir(), Instance: "u" + random(t, 5), Box: filepath.Join(programs, "petitpont-box"),
		Init: filepath.Join(programs, "petitpont-init"), Reserve: 1 << 20, Answer: time.Minute, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
	var err error
	blocks := segments(t)
	note(t, c, blocks)
	if r.net, err = network.Open(network.Config{Instance: c.Instance, Segments: blocks, Log: c.Log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.net.Close(); err != nil {
			t.Error("close network:", err)
		}
	})
	c.Network = r.net
	if err := os.Symlink(templatetest.Web(t), filepath.Join(c.Data, "templates")); err != nil {
		t.Fatal(err)
	}
	r.reopen(t, c)
	t.Cleanup(func() {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error("shut down:", err)
		}
	})
	return r
}

func (r *rig) reopen(t testing.TB, c Config) {
	t.Helper()
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	r.Driver = d
}

// segments are blocks no other test of this process has; other processes are kept apart by chance. They are of the half
// of 10.0.0.0/8 that the end-to-end tests, which run at the same time, leave alone.
func segments(t testing.TB) []network.Segment {
	t.Helper()
	for range 512 {
		n := (int32(os.Getpid()) + blocks.Add(1)) % 512
		block := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 2), byte(n << 6), 0}), 18)
		if inUse(t, block) {
			continue
		}
		all, err := network.DefaultSegments(block)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	t.Fatal("this machine uses all of 10.0.0.0/9")
	return nil
}

// inUse tells whether an interface of this machine has an address there.
func inUse(t testing.TB, block netip.Prefix) bool {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Overlaps(block)
	})
}

func random(t testing.TB, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	s := make([]byte, n)
	for i := range s {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			t.Fatal(err)
		}
		s[i] = letters[k.Int64()]
	}
	return string(s)
}

func spec(t testing.TB, slot int) runtime.Spec {
	return runtime.Spec{
		ID: random(t, 10), Template: "web", Slot: slot, Segment: "student", Hostname: "demo",
		Services: []string{"php", "nginx"}, Limits: runtime.Limits{Disk: 256 << 20, Inodes: 16384, Memory: 256 << 20, CPU: 2000, Procs: 64},
	}
}

// count is what the instance has now.
func (r *rig) count(t testing.TB) Tally {
	t.Helper()
	c, err := Count(r.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// create makes a site that is destroyed after the test.
func (r *rig) create(t testing.TB, s runtime.Spec) runtime.Spec {
	t.Helper()
	if err := r.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *rig) running(t testing.TB, s runtime.Spec) netip.AddrPort {
	t.Helper()
	r.create(t, s)
	return r.start(t, s.ID)
}

func (r *rig) start(t testing.TB, id string) netip.AddrPort {
	t.Helper()
	a, err := r.Start(t.Context(), id)
	if err != nil {
		var s *runtime.StartError
		if errors.As(err, &s) {
			t.Log(s.Log)
		}
		t.Fatal(err)
	}
	return a
}

func (r *rig) status(t testing.TB, id string) runtime.Status {
	t.Helper()
	all, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.ID == id {
			return i.Status
		}
	}
	return runtime.Absent
}

// sh runs a script in the container and returns what it printed.
func (r *rig) sh(t testing.TB, id, script string, root bool) string {
	t.Helper()
	p, err := r.Exec(t.Context(), id, runtime.Cmd{Argv: []string{"sh", "-c", "exec 2>&1; " + script}, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	out, err := io.ReadAll(p.Stdout())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// until asks again until the fact is there.
func until(t testing.TB, fact string, seen func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for tick := time.Tick(5 * time.Millisecond); !seen(); {
		select {
		case <-tick:
		case <-deadline:
			t.Fatal("waited for: " + fact)
		}
	}
}

type testWriter struct{ testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func contains(s, part string) bool { return strings.Contains(s, part) }

// damage overwrites the image's superblock.
func damage(t testing.TB, image string) {
	t.Helper()
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(make([]byte, 1024), 1024)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
