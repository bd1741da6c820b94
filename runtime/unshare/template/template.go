// Package template builds the root file systems that sites are made from, and finds them.
//
//	DIR/.building-NAME-XXXX/   a build under way, locked by its process
//	DIR/NAME/20261120-1/rootfs/          owned by the host's root, unshifted
//	DIR/NAME/20261120-1/manifest.json
//
// A version appears by one rename, whole and on disk (RULE ATOMIC), and never changes after (RULE PIN).
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

// Manifest is manifest.json of a published version.
type Manifest struct {
	Name     string                     `json:"name"`
	Version  string                     `json:"version"` // date-number
	BuiltAt  time.Time                  `json:"builtAt"`
	Bytes    int64                      `json:"bytes"`  // disk space taken
	Recipe   string                     `json:"recipe"` // fingerprint of the recipe it was made from
	Services map[string]runtime.Service `json:"services"`
}

func (m Manifest) template() runtime.Template {
	return runtime.Template{Name: m.Name, Version: m.Version, BuiltAt: m.BuiltAt, Bytes: m.Bytes,
		Services: slices.Sorted(maps.Keys(m.Services))}
}

const building = ".building-"

var versionForm = regexp.MustCompile(`^[0-9]{8}-[1-9][0-9]{0,4}$`)

// Read returns the manifest of a version.
func Read(dir, name, version string) (Manifest, error) {
	m := Manifest{}
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
	if len(all) == 0 {
		return runtime.Template{}, fmt.Errorf("template %s: %w", name, runtime.ErrNoTemplate)
	}
	m, err := Read(dir, name, all[len(all)-1])
	return m.template(), err
}

// List returns every published version, oldest first within a name. No folder is no template.
func List(dir string) ([]runtime.Template, error) {
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	var list []runtime.Template
	for _, n := range names {
		if !nameForm.MatchString(n.Name()) || !n.IsDir() {
			continue
		}
		all, err := versions(dir, n.Name())
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			m, err := Read(dir, n.Name(), v)
			if err != nil {
				return nil, err
			}
			list = append(list, m.template())
		}
	}
	return list, nil
}

// versions are the published versions of a name, oldest first.
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

// Sweep removes what builds left that were killed. A build under way holds a lock and is let be.
func Sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, building+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range left {
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
