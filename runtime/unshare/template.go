package unshare

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// templates reads D/templates/NAME/VERSION/{rootfs,manifest.json}. Versions are published by rename and never change.
type templates struct {
	dir string

	mu    sync.Mutex
	cache map[string]*template // by name@version
}

// template is one published version.
type template struct {
	Name     string                     `json:"name"`
	Version  string                     `json:"version"`
	BuiltAt  time.Time                  `json:"builtAt"`
	Bytes    int64                      `json:"bytes"`
	Services map[string]templateService `json:"services"`

	rootfs string
	users  map[string]user
}

type templateService struct {
	Argv []string `json:"argv"`
	User string   `json:"user"`
	Stop string   `json:"stop"` // name of a signal, without SIG
}

type user struct{ uid, gid int }

// newest finds the version that new containers are pinned to.
func (t *templates) newest(name string) (*template, error) {
	versions, err := t.versions(name)
	if err != nil || len(versions) == 0 {
		return nil, fmt.Errorf("template %q: %w", name, runtime.ErrNoTemplate)
	}
	return t.get(name, versions[len(versions)-1])
}

// versions are the published ones, oldest first.
func (t *templates) versions(name string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(t.dir, name))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		if versionForm.MatchString(e.Name()) && e.IsDir() {
			all = append(all, e.Name())
		}
	}
	slices.SortFunc(all, compareVersions)
	return all, nil
}

// compareVersions orders DATE-N by date, then by number.
func compareVersions(a, b string) int {
	da, na, _ := strings.Cut(a, "-")
	db, nb, _ := strings.Cut(b, "-")
	if c := strings.Compare(da, db); c != 0 {
		return c
	}
	ia, _ := strconv.Atoi(na)
	ib, _ := strconv.Atoi(nb)
	return ia - ib
}

func (t *templates) get(name, version string) (*template, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := name + "@" + version
	if v, ok := t.cache[key]; ok {
		return v, nil
	}
	v, err := readTemplate(filepath.Join(t.dir, name, version))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("template %s: %w", key, runtime.ErrNoTemplate)
	}
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", key, err)
	}
	if t.cache == nil {
		t.cache = map[string]*template{}
	}
	t.cache[key] = v
	return v, nil
}

func readTemplate(dir string) (*template, error) {
	v := &template{rootfs: filepath.Join(dir, "rootfs")}
	if err := readJSON(filepath.Join(dir, "manifest.json"), v); err != nil {
		return nil, err
	}
	// The template is ours and never changes, so its passwd may be read from here; a site's own may not (RULE NS).
	root, err := os.OpenRoot(v.rootfs)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open("etc/passwd")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	v.users = map[string]user{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		p := strings.Split(lines.Text(), ":")
		if len(p) < 4 {
			continue
		}
		uid, err1 := strconv.Atoi(p[2])
		gid, err2 := strconv.Atoi(p[3])
		if err1 == nil && err2 == nil {
			v.users[p[0]] = user{uid, gid}
		}
	}
	return v, nil
}

// service resolves a service of the manifest to what init needs to know.
func (v *template) service(name string, env []string) (service, error) {
	m, ok := v.Services[name]
	if !ok || len(m.Argv) == 0 {
		return service{}, fmt.Errorf("%w: template %s has no service %q", runtime.ErrInvalid, v.Name, name)
	}
	u, ok := v.users[m.User]
	if !ok {
		return service{}, fmt.Errorf("%w: template %s has no user %q", runtime.ErrInvalid, v.Name, m.User)
	}
	sig := unix.SignalNum("SIG" + m.Stop)
	if sig == 0 {
		sig = syscall.SIGTERM
	}
	return service{name: name, user: u, stop: int(sig), argv: m.Argv, env: append([]string{pathEnv}, env...)}, nil
}

const pathEnv = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Templates lists every published version, newest first within a name.
func (d *Driver) Templates(_ context.Context) ([]runtime.Template, error) {
	names, err := os.ReadDir(d.templates.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	var all []runtime.Template
	for _, n := range names {
		versions, err := d.templates.versions(n.Name())
		if err != nil || !templateForm.MatchString(n.Name()) {
			continue
		}
		slices.Reverse(versions)
		for _, version := range versions {
			if v, err := d.templates.get(n.Name(), version); err == nil {
				all = append(all, v.public())
			} else {
				d.Log.Warn("template cannot be read", "error", err)
			}
		}
	}
	return all, nil
}

func (v *template) public() runtime.Template {
	t := runtime.Template{Name: v.Name, Version: v.Version, BuiltAt: v.BuiltAt, Bytes: v.Bytes}
	for name := range v.Services {
		t.Services = append(t.Services, name)
	}
	slices.Sort(t.Services)
	return t
}
