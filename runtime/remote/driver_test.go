package remote_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/drivertest"
	"petitpont/runtime/fake"
	"petitpont/runtime/remote"
)

var serial atomic.Int64

// socket is a path for a test's socket. It is not in t.TempDir, whose name is the test's: a socket's may have 108 bytes
// (unix(7)), and where a machine has its temporary folder is not for us to say.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "s")
}

func spec(slot int) runtime.Spec {
	return runtime.Spec{
		ID: fmt.Sprintf("remo%06d", serial.Add(1)), Template: "web", Slot: slot,
		Segment: "student", Hostname: "blog", Services: []string{"nginx", "php-fpm"},
	}
}

// rig is a fake driver behind a real socket.
type rig struct {
	*fake.Driver
	path string
	end  func() // ends the server and waits for it
}

func open(t *testing.T) *rig {
	t.Helper()
	d := fake.New(t.TempDir())
	t.Cleanup(func() { _ = d.Close() })
	r := &rig{Driver: d, path: socket(t)}
	r.serve(t)
	return r
}

// serve starts a server at the rig's path; its end is told by r.end, and at the end of the test.
func (r *rig) serve(t *testing.T) {
	t.Helper()
	r.end = serve(t, r.path, r.Driver, remote.Options{})
}

func serve(t *testing.T, path string, d runtime.Driver, o remote.Options) (end func()) {
	t.Helper()
	l, err := remote.Listen(path, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return serveAt(t, l, d, o)
}

func serveAt(t *testing.T, l *net.UnixListener, d runtime.Driver, o remote.Options) (end func()) {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- remote.Serve(ctx, l, d, o) }()
	var ended atomic.Bool
	end = func() {
		if ended.Swap(true) {
			return
		}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the server does not end")
		}
	}
	t.Cleanup(end)
	return end
}

func TestDriver(t *testing.T) {
	drivertest.Test(t, func(t *testing.T) drivertest.Rig {
		r := open(t)
		return drivertest.Rig{
			Driver: remote.Dial(r.path), Spec: spec, HTTP: true, Files: true,
			Kill: func(_ *testing.T, id string) { r.Kill(id) },
		}
	})
}
