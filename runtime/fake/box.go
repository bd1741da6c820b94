package fake

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"petitpont/runtime"
)

// box is one container. Its fields are guarded by Driver.mu.
type box struct {
	spec     runtime.Spec
	home     string
	template string // name@version it is pinned to
	touched  bool   // its packages are its own
	status   runtime.Status
	addr     netip.AddrPort
	since    time.Time
	env      []string // it was started with
	web      *http.Server
	ice      chan struct{} // closed while not frozen: requests wait for it
	programs map[*process]struct{}
	sessions map[io.Closer]struct{}
	spent    time.Duration // processor time of programs that ended, since the start
}

func newBox(s runtime.Spec, home, template string) *box {
	b := &box{
		spec: s, home: home, template: template, status: runtime.Stopped, ice: make(chan struct{}),
		programs: map[*process]struct{}{}, sessions: map[io.Closer]struct{}{},
	}
	close(b.ice)
	return b
}

func (b *box) info() runtime.Info {
	return runtime.Info{
		ID: b.spec.ID, Slot: b.spec.Slot, Template: b.template,
		Status: b.status, Addr: b.addr, StartedAt: b.since,
		Waits: b.status != runtime.Stopped && !slices.Equal(b.env, b.spec.Env),
	}
}

// begin opens the listener; d.mu is held.
func (b *box) begin(d *Driver) (netip.AddrPort, error) {
	if d.Offline {
		slot := b.spec.Slot
		b.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(slot >> 16), byte(slot >> 8), byte(slot)}), 80)
	} else if err := b.listen(d); err != nil {
		return netip.AddrPort{}, err
	}
	b.status, b.since, b.spent, b.env = runtime.Running, d.Now(), 0, b.spec.Env
	return b.addr, nil
}

func (b *box) listen(d *Driver) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for %s: %w", b.spec.ID, err)
	}
	answer := pages(filepath.Join(b.home, "www"))
	if d.Answer != nil {
		answer = d.Answer(b.spec.ID)
	}
	web := &http.Server{Handler: d.gated(b, answer), ReadHeaderTimeout: time.Minute}
	b.web = web
	b.addr = l.Addr().(*net.TCPAddr).AddrPort()
	go func() { _ = web.Serve(l) }()
	return nil
}

// gated keeps requests waiting while the box is frozen.
func (d *Driver) gated(b *box, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		ice := b.ice
		d.mu.Unlock()
		select {
		case <-ice:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

// pages serves a folder; its front page is index.php as it stands.
func pages(www string) http.Handler {
	files := http.FileServer(http.Dir(www))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			page, err := os.ReadFile(filepath.Join(www, "index.php"))
			if err == nil {
				_, _ = w.Write(page)
				return
			}
		}
		files.ServeHTTP(w, r)
	})
}

func (b *box) freeze() {
	b.status, b.ice = runtime.Frozen, make(chan struct{})
	b.signal(syscall.SIGSTOP)
}

func (b *box) thaw() {
	b.status = runtime.Running
	close(b.ice)
	b.signal(syscall.SIGCONT)
}

// end stops what runs; a stopped box stays as it is.
func (b *box) end() {
	if b.status == runtime.Stopped {
		return
	}
	if b.status == runtime.Frozen {
		b.thaw()
	}
	b.signal(syscall.SIGKILL)
	if b.web != nil {
		_ = b.web.Close()
	}
	b.web, b.status, b.addr, b.since = nil, runtime.Stopped, netip.AddrPort{}, time.Time{}
}

func (b *box) signal(s syscall.Signal) {
	for p := range b.programs {
		p.signal(s)
	}
}

func (b *box) closeSessions() {
	for s := range b.sessions {
		_ = s.Close()
	}
}

// weigh walks the home as a file system would count it.
func (b *box) weigh() (bytes, inodes int64) {
	_ = filepath.WalkDir(b.home, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		inodes++
		if i, err := e.Info(); err == nil && i.Mode().IsRegular() {
			bytes += i.Size()
		}
		return nil
	})
	return bytes, inodes
}
