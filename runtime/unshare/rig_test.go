package unshare

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"petitpont/runtime"
	"petitpont/runtime/unshare/network"
	"petitpont/runtime/unshare/template/templatetest"
)

// programs holds petitpont-box and petitpont-init, built once for all tests.
var programs string

func TestMain(m *testing.M) { os.Exit(main(m)) }

func main(m *testing.M) int {
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
	r := &rig{}
	c := Config{Data: t.TempDir(), Run: t.TempDir(), Instance: "u" + random(t, 5), Box: filepath.Join(programs, "petitpont-box"),
		Init: filepath.Join(programs, "petitpont-init"), DNS: []netip.Addr{}, Reserve: 1 << 20, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
	var err error
	if r.net, err = network.Open(network.Config{Instance: c.Instance, Segments: segments(t), Log: c.Log}); err != nil {
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

// segments are blocks no other test of this process has; other processes are kept apart by chance.
func segments(t testing.TB) []network.Segment {
	t.Helper()
	n := (int32(os.Getpid()) + blocks.Add(1)) % 1024
	all, err := network.DefaultSegments(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 2), byte(n << 6), 0}), 18))
	if err != nil {
		t.Fatal(err)
	}
	return all
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
	return runtime.Spec{ID: random(t, 10), Template: "web", Slot: slot, Segment: "student", Hostname: "demo",
		Services: []string{"php", "nginx"}, Limits: runtime.Limits{Disk: 256 << 20, Inodes: 16384, Memory: 256 << 20, CPU: 2000, Procs: 64}}
}

type testWriter struct{ testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}
