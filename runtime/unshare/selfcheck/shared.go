package selfcheck

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/probe"
)

// What the probes may spoil are two files that every Debian has and no program reads.
var sharedFiles = [2]string{"etc/issue", "etc/issue.net"}

// shared watches what all sites have in common and none may change: files of the template, and the kernel's modules.
type shared struct {
	template string              // its root on the host
	files    map[string][]byte   // as they were
	modules  map[string]struct{} // that were loaded
}

func (s *shared) look(template string) (err error) {
	s.template, s.files = template, map[string][]byte{}
	for _, name := range sharedFiles {
		if s.files[name], err = s.read(name); err != nil {
			return fmt.Errorf("read a file of the template: %w", err)
		}
	}
	s.modules = loadedModules()
	return nil
}

// read gives the pages of the file that everybody shares. It is a regular file of the template, which we have built.
func (s *shared) read(name string) ([]byte, error) {
	root, err := os.OpenRoot(s.template)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// changed says what is not as it was, by probe, and puts a changed file right: every site reads it.
func (s *shared) changed() map[string]string {
	got := map[string]string{}
	for name, was := range s.files {
		is, err := s.read(name)
		if err == nil && bytes.Equal(is, was) {
			continue
		}
		got[probe.SharedPages] = fmt.Sprintf("/%s of the template has changed", name)
		if err := errors.Join(err, s.repair(name, was)); err != nil {
			got[probe.SharedPages] += ": " + err.Error()
		}
	}
	if fresh := s.freshModules(); len(fresh) > 0 {
		got[probe.Modules] = "the host's kernel loaded " + strings.Join(fresh, " ")
	}
	return got
}

func (s *shared) repair(name string, was []byte) error {
	root, err := os.OpenRoot(s.template)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(name, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(was, 0)
	return errors.Join(err, f.Truncate(int64(len(was))), f.Sync(), f.Close())
}

// freshModules are those that a site can have asked for, and that were not there before.
func (s *shared) freshModules() (fresh []string) {
	for name := range loadedModules() {
		if _, old := s.modules[name]; !old && slices.Contains(probe.Loadable, name) {
			fresh = append(fresh, name)
		}
	}
	slices.Sort(fresh)
	return fresh
}

// loadedModules is empty on a kernel that has none.
func loadedModules() map[string]struct{} {
	all := map[string]struct{}{}
	b, err := os.ReadFile("/proc/modules")
	if err != nil {
		return all
	}
	for line := range strings.Lines(string(b)) {
		name, _, _ := strings.Cut(line, " ")
		all[name] = struct{}{}
	}
	return all
}
