package unshare

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/unshare/packages"
	"petitpont/runtime/unshare/template"
)

// templates remembers the versions that boxes are made of: they never change once published (RULE PIN).
type templates struct {
	dir string

	mu    sync.Mutex
	known map[string]*pinned // by name@version

	pins   sync.RWMutex // read-held while a container is being pinned, held while a version is retired
	states sync.Mutex   // held while a state is changed
	tests  sync.Mutex   // held while a version is tried: one throw-away site at a time
}

// pinned is a template version ready to be used.
type pinned struct {
	template.Manifest
	rootfs string
	users  map[string]user
}

type user struct{ uid, gid int }

// newest finds the version that new containers are pinned to.
func (t *templates) newest(name string) (*pinned, error) {
	v, err := template.Newest(t.dir, name)
	if err != nil {
		return nil, err
	}
	return t.get(name, v.Version)
}

func (t *templates) get(name, version string) (*pinned, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := name + "@" + version
	if v, ok := t.known[key]; ok {
		return v, nil
	}
	m, err := template.Read(t.dir, name, version)
	if err != nil {
		return nil, err
	}
	v := &pinned{Manifest: m, rootfs: filepath.Join(t.dir, name, version, "rootfs")}
	if v.users, err = readUsers(v.rootfs); err != nil {
		return nil, fmt.Errorf("template %s: read users: %w", key, err)
	}
	if t.known == nil {
		t.known = map[string]*pinned{}
	}
	t.known[key] = v
	return v, nil
}

func (t *templates) forget(name, version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, name+"@"+version)
}

// packages is the fingerprint of what a version has installed.
func (t *templates) packages(name, version string) (string, error) {
	v, err := t.get(name, version)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(v.rootfs)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(packages.Status)
	if err != nil {
		return "", fmt.Errorf("template %s@%s: %w", name, version, err)
	}
	defer func() { _ = f.Close() }()
	return packages.Fingerprint(f)
}

// readUsers reads a template's passwd. The template is ours; a site's own passwd is never read from here (RULE NS).
func readUsers(rootfs string) (map[string]user, error) {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open("etc/passwd")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	users, lines := map[string]user{}, bufio.NewScanner(f)
	for lines.Scan() {
		p := strings.Split(lines.Text(), ":")
		if len(p) < 4 {
			continue
		}
		uid, err1 := strconv.Atoi(p[2])
		gid, err2 := strconv.Atoi(p[3])
		if err1 == nil && err2 == nil {
			users[p[0]] = user{uid, gid}
		}
	}
	return users, lines.Err()
}

// service resolves a service of the manifest to what init needs to know.
func (v *pinned) service(name string, env []string) (service, error) {
	m, ok := v.Services[name]
	if !ok || len(m.Argv) == 0 {
		return service{}, fmt.Errorf("%w: template %s has no service %q", runtime.ErrInvalid, v.Name, name)
	}
	u, ok := v.users[m.User]
	if !ok {
		return service{}, fmt.Errorf("%w: template %s has no user %q", runtime.ErrInvalid, v.Name, m.User)
	}
	stop := unix.SignalNum("SIG" + m.Stop)
	if stop == 0 {
		stop = syscall.SIGTERM
	}
	return service{name: name, user: u, stop: int(stop), argv: m.Argv, env: append([]string{pathEnv}, env...)}, nil
}

const pathEnv = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Templates lists what Create can use.
func (d *Driver) Templates(_ context.Context) ([]runtime.Template, error) {
	return template.List(d.templates.dir)
}
