package remote_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"petitpont/runtime/fake"
	"petitpont/runtime/remote"
)

func TestAPathIsFreeOnceItsServerHasReturned(t *testing.T) {
	path := socket(t)
	d := fake.New(t.TempDir())
	t.Cleanup(func() { _ = d.Close() })
	for range 500 {
		serve(t, path, d, remote.Options{})()
	}
}

func TestListen(t *testing.T) {
	t.Run("the socket belongs to root and the group of serve, and to nobody else", func(t *testing.T) {
		path := socket(t)
		listening(t, path)
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		owner := info.Sys().(*syscall.Stat_t)
		if info.Mode() != fs.ModeSocket|0o660 || owner.Uid != 0 || owner.Gid != nobody {
			t.Errorf("%v of %d:%d", info.Mode(), owner.Uid, owner.Gid)
		}
	})
	t.Run("a dead server's is replaced", func(t *testing.T) {
		path := socket(t)
		_ = listening(t, path).Close()
		listening(t, path)
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	})
	t.Run("a live server's is not", func(t *testing.T) {
		path := socket(t)
		listening(t, path)
		if _, err := remote.Listen(path, 0, nobody); !errors.Is(err, remote.ErrListening) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nor is anything that is no socket", func(t *testing.T) {
		path := socket(t)
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Listen(path, 0, nobody); !errors.Is(err, fs.ErrExist) {
			t.Errorf("got %v", err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != "precious" {
			t.Errorf("it became %q, %v", kept, err)
		}
	})
	t.Run("of many that start at once one gets it", func(t *testing.T) {
		path := socket(t)
		_ = listening(t, path).Close()
		var won atomic.Int32
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				l, err := remote.Listen(path, 0, nobody)
				switch {
				case err == nil:
					won.Add(1)
					t.Cleanup(func() { _ = l.Close() })
				case !errors.Is(err, remote.ErrListening):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := won.Load(); n != 1 {
			t.Errorf("%d got it", n)
		}
	})
}

func listening(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := remote.Listen(path, 0, nobody)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
