package sshgate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pkg/sftp"

	"petitpont/site"
)

// The SFTP server of a test site is this very binary, started again: it goes into the site's folder, gives up root, and
// serves, as the real one does inside a site.
const childEnv = "PETITPONT_GATE_TEST_SITE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		serveSite(dir)
		return
	}
	if off := os.Getenv(victimEnv); off != "" {
		serveVictim(off)
		return
	}
	os.Exit(m.Run())
}

func serveSite(dir string) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	check(syscall.Chroot(dir))
	check(os.Chdir("/www"))
	check(syscall.Setgroups(nil))
	check(syscall.Setresgid(1000, 1000, 1000))
	check(syscall.Setresuid(1000, 1000, 1000))
	syscall.Umask(0o022)
	server, err := sftp.NewServer(os.NewFile(3, "client"))
	check(err)
	if err := server.Serve(); err != nil && err != io.EOF {
		panic(err)
	}
}

// fakeSites is a heart of two people, whose sites are folders.
type fakeSites struct {
	t    *testing.T
	root string

	mu      sync.Mutex
	people  map[string]site.Identity // by login
	secrets map[string]string
	sites   []site.Site
	open    map[string][]net.Conn
	revoked map[string]chan struct{}
	logins  []string // every "login password" that was tried
	asked   int      // about who must go
	failure error    // of the next logins
	files   func(name string) (net.Conn, error)
	limitAt int // fails with too-many-tries after so many wrong passwords
}

func newSites(t *testing.T) *fakeSites {
	f := &fakeSites{
		t: t, root: t.TempDir(),
		people: map[string]site.Identity{}, secrets: map[string]string{},
		open: map[string][]net.Conn{}, revoked: map[string]chan struct{}{},
	}
	for _, p := range []site.Identity{
		{Key: "k-eleve", Login: "eleve", Role: site.Student},
		{Key: "k-mallory", Login: "mallory", Role: site.Student},
		{Key: "k-victime", Login: "victime", Role: site.Student},
		{Key: "k-prof", Login: "prof", Role: site.Teacher, Admin: true},
	} {
		f.people[p.Login], f.secrets[p.Login], f.revoked[p.Key] = p, "secret-"+p.Login, make(chan struct{})
	}
	f.add("blog", "eleve")
	f.add("tp", "eleve")
	f.add("evil", "mallory")
	return f
}

func (f *fakeSites) add(name, login string) {
	who := f.people[login]
	f.sites = append(f.sites, site.Site{ID: site.ID("id" + name), Name: name, Owner: who.Key, OwnerLogin: login, State: site.Asleep, Want: site.Up})
	if err := os.MkdirAll(f.path(name, "www"), 0o755); err != nil {
		f.t.Fatal(err)
	}
	for _, p := range []string{f.path(name), f.path(name, "www")} {
		if err := os.Chown(p, 1000, 1000); err != nil {
			f.t.Fatal(err)
		}
	}
	f.write(name, "www/index.php", "<?php echo '"+name+"';\n")
}

func (f *fakeSites) path(name string, in ...string) string {
	return filepath.Join(append([]string{f.root, name}, in...)...)
}

func (f *fakeSites) write(name, path, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name, path), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chown(f.path(name, path), 1000, 1000); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeSites) read(name, path string) string {
	f.t.Helper()
	b, err := os.ReadFile(f.path(name, path))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

func (f *fakeSites) Login(_ context.Context, login, password string, _ netip.Addr) (site.Identity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logins = append(f.logins, login+" "+password)
	if f.failure != nil {
		return site.Identity{}, f.failure
	}
	if f.limitAt > 0 && len(f.logins) > f.limitAt {
		return site.Identity{}, &site.Error{Code: site.CodeTooManyTries, Args: site.Args{"s": "42"}}
	}
	if want, ok := f.secrets[strings.ToLower(login)]; !ok || want != password {
		return site.Identity{}, &site.Error{Code: site.CodeWrongPassword}
	}
	return f.people[strings.ToLower(login)], nil
}

func (f *fakeSites) Mine(_ context.Context, who site.Identity) ([]site.Site, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.sites), func(s site.Site) bool { return s.Owner != who.Key }), nil
}

func (f *fakeSites) Find(_ context.Context, who site.Identity, name string) (site.Site, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !regexp.MustCompile("^[a-z0-9-]{1,40}$").MatchString(name) {
		f.t.Errorf("Find was given %q (RULE ARG)", name)
	}
	for _, s := range f.sites {
		if s.Name == name && (s.Owner == who.Key || who.Admin) {
			return s, nil
		}
	}
	return site.Site{}, &site.Error{Code: site.CodeNotFound}
}

func (f *fakeSites) Files(ctx context.Context, who site.Identity, name string) (net.Conn, error) {
	if _, err := f.Find(ctx, who, name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	files := f.files
	f.mu.Unlock()
	if files != nil {
		return files(name)
	}
	c := f.child(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[name] = append(f.open[name], c)
	return c, nil
}

func (f *fakeSites) child(name string) net.Conn {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+f.path(name))
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	f.t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	c, err := net.FileConn(ours)
	if err != nil {
		panic(err)
	}
	return c
}

func (f *fakeSites) Revoked(who site.Identity) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.revoked[who.Key]
}

func (f *fakeSites) revoke(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.revoked[key])
}

// delete takes a site away as the heart does: no longer found, its open files cut.
func (f *fakeSites) delete(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sites = slices.DeleteFunc(f.sites, func(s site.Site) bool { return s.Name == name })
	for _, c := range f.open[name] {
		c.Close()
	}
}

// mountSmall gives a site a disk of so many bytes.
func (f *fakeSites) mountSmall(name string, size int) {
	f.t.Helper()
	where := f.path(name, "www")
	if err := syscall.Mount("petitpont-gate-test", where, "tmpfs", 0, fmt.Sprintf("size=%d,uid=1000,gid=1000", size)); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := syscall.Unmount(where, syscall.MNT_DETACH); err != nil {
			f.t.Error(err)
		}
	})
}

// set changes f under its lock.
func (f *fakeSites) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// tried lists "login password" of every login.
func (f *fakeSites) tried() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.logins)
}
