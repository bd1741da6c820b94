// Package template builds the root file systems that sites are made from, and finds them.
//
//	DIR/.building-NAME-XXXX/   a build under way, locked by its process
//	DIR/NAME/20261120-1/rootfs/          owned by the host's root, unshifted
//	DIR/NAME/20261120-1/manifest.json    what it is
//	DIR/NAME/20261120-1/state.json       tested, published
//	DIR/.retired-NAME-XXXX/              a version being removed
//
// A version appears by one rename, whole and on disk (RULE ATOMIC), and but for its state never changes after (RULE PIN).
package template

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Manifest is manifest.json of a version.
type Manifest struct {
	Name     string                     `json:"name"`
	Version  string                     `json:"version"` // date-number
	BuiltAt  time.Time                  `json:"builtAt"`
	Bytes    int64                      `json:"bytes"`  // disk space taken
	Recipe   string                     `json:"recipe"` // fingerprint of the recipe it was made from
	Suite    string                     `json:"suite"`
	Services map[string]runtime.Service `json:"services"`
	Trials   []runtime.Trial            `json:"trials,omitempty"`
}

func (m Manifest) template() runtime.Template {
	return runtime.Template{
		Name: m.Name, Version: m.Version, BuiltAt: m.BuiltAt, Bytes: m.Bytes,
		Services: slices.Sorted(maps.Keys(m.Services)),
	}
}

const (
	building = ".building-"
	retired  = ".retired-"
)

var versionForm = regexp.MustCompile(`^[0-9]{8}-[1-9][0-9]{0,4}$`)

// Read returns the manifest of a version.
func Read(dir, name, version string) (Manifest, error) {
	m := Manifest{}
	if !nameForm.MatchString(name) || !versionForm.MatchString(version) {
		return m, fmt.Errorf("template %.40q@%.40q: %w", name, version, runtime.ErrNoTemplate)
	}
	b, err := os.ReadFile(filepath.Join(dir, name, version, "manifest.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("template %s@%s: %w", name, version, runtime.ErrNoTemplate)
	}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return m, fmt.Errorf("template %s@%s: %w", name, version, err)
	}
	return m, nil
}

// Newest returns the version that new sites get. ErrNoTemplate if there is none.
func Newest(dir, name string) (runtime.Template, error) {
	if !nameForm.MatchString(name) {
		return runtime.Template{}, fmt.Errorf("template %q: %w", name, runtime.ErrNoTemplate)
	}
	all, err := versions(dir, name)
	if err != nil {
		return runtime.Template{}, err
	}
	for _, v := range slices.Backward(all) {
		s, err := ReadState(dir, name, v)
		if err != nil {
			return runtime.Template{}, err
		}
		if s.Published {
			m, err := Read(dir, name, v)
			return m.template(), err
		}
	}
	return runtime.Template{}, fmt.Errorf("template %s: %w", name, runtime.ErrNoTemplate)
}

// List returns every published version, oldest first within a name. No folder is no template.
func List(dir string) ([]runtime.Template, error) {
	all, err := Versions(dir)
	var list []runtime.Template
	for _, v := range all {
		if v.Published {
			list = append(list, v.Template)
		}
	}
	return list, err
}

// Versions returns every version in any stage, oldest first within a name. How many sites it has is not known here.
func Versions(dir string) ([]runtime.Version, error) {
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	var list []runtime.Version
	for _, n := range names {
		if !nameForm.MatchString(n.Name()) || !n.IsDir() {
			continue
		}
		all, err := versions(dir, n.Name())
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			one, err := version(dir, n.Name(), v)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
	}
	return list, nil
}

func version(dir, name, v string) (runtime.Version, error) {
	m, err := Read(dir, name, v)
	if err != nil {
		return runtime.Version{}, err
	}
	s, err := ReadState(dir, name, v)
	return runtime.Version{Template: m.template(), Published: s.Published, TestedAt: s.TestedAt, Fault: s.Fault}, err
}

// versions are those of a name, oldest first.
func versions(dir, name string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list template %s: %w", name, err)
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() && versionForm.MatchString(e.Name()) {
			all = append(all, e.Name())
		}
	}
	slices.SortFunc(all, compare)
	return all, nil
}

// compare orders versions by date, then by number: 20261120-10 comes after 20261120-9.
func compare(a, b string) int {
	da, na := split(a)
	db, nb := split(b)
	return cmp.Or(cmp.Compare(da, db), cmp.Compare(na, nb))
}

func split(version string) (day string, n int) {
	day, number, _ := strings.Cut(version, "-")
	n, _ = strconv.Atoi(number)
	return day, n
}

// Sweep removes what builds and retirements left that were killed. A build under way holds a lock and is let be.
func Sweep(dir string) error {
	built, err1 := filepath.Glob(filepath.Join(dir, building+"*"))
	gone, err2 := filepath.Glob(filepath.Join(dir, retired+"*"))
	errs := []error{err1, err2}
	for _, path := range slices.Concat(built, gone) {
		lock, err := lockDir(path)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err == nil {
			err = errors.Join(os.RemoveAll(path), lock.Close())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove half-built template: %w", err))
		}
	}
	return errors.Join(errs...)
}

// ownDir makes a folder below dir and locks it. A Sweep of another process may meet it before it is locked, and takes it
// for one that was left: then another is made.
func ownDir(dir, prefix string) (path string, lock *os.File, err error) {
	for range 100 {
		if path, err = os.MkdirTemp(dir, prefix); err != nil {
			return "", nil, err
		}
		lock, err = lockDir(path)
		if err == nil && named(path, lock) {
			return path, lock, nil
		}
		if err == nil {
			err = errors.Join(fs.ErrNotExist, lock.Close())
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return "", nil, fmt.Errorf("make folder: %w", err)
}

// named tells whether path is still the folder that is open.
func named(path string, f *os.File) bool {
	a, err1 := os.Stat(path)
	b, err2 := f.Stat()
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// lockDir locks a folder until the file is closed; EWOULDBLOCK if another process has it.
func lockDir(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
