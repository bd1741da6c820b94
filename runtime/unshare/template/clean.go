package template

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// rubbish is what the building leaves and no site needs.
var rubbish = []string{
	"var/cache/*", "var/lib/apt/lists/*", "var/log/*", "var/backups/*", "tmp/*", "run/*", "dev/*",
	"etc/apt/apt.conf.d/99mmdebstrap", "etc/*-", "etc/.pwd.lock", "root/.*", "usr/share/doc/*/changelog*",
}

// blank are regular files that a start fills in, or programs expect to find.
var blank = []string{"etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/machine-id"}

// clean works on the finished tree with paths that cannot leave it. No program of the tree is run.
func (b *build) clean() error {
	root, err := os.OpenRoot(b.rootfs())
	if err != nil {
		return err
	}
	defer root.Close()
	for _, p := range append(append([]string{}, rubbish...), b.recipe.Remove...) {
		if err := remove(root, p); err != nil {
			return err
		}
	}
	for _, name := range blank {
		if err := root.RemoveAll(name); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return b.disarm()
}

// remove takes out what matches a pattern; {a,b} stands for both.
func remove(root *os.Root, pattern string) error {
	for _, p := range expand(pattern) {
		found := []string{p} // globbing one name would look behind a link
		if strings.ContainsAny(p, `*?[\`) {
			var err error
			if found, err = fs.Glob(root.FS(), p); err != nil {
				return fmt.Errorf("pattern %q: %w", p, err)
			}
		}
		for _, name := range found {
			if strings.HasSuffix(name, "/.") || strings.HasSuffix(name, "/..") {
				continue
			}
			if err := root.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// expand writes out the first {a,b} of a pattern, and those after it.
func expand(pattern string) []string {
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		return []string{pattern}
	}
	inside, after, _ := strings.Cut(rest, "}")
	var all []string
	for choice := range strings.SplitSeq(inside, ",") {
		all = append(all, expand(before+choice+after)...)
	}
	return all
}

// disarm takes away what lends rights: setuid and setgid bits of programs, file capabilities, device nodes.
func (b *build) disarm() error {
	return filepath.WalkDir(b.rootfs(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
			return os.Remove(path)
		}
		if err := unix.Lremovexattr(path, "security.capability"); err != nil &&
			!errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("capabilities of %s: %w", path, err)
		}
		if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			return os.Chmod(path, info.Mode().Perm())
		}
		return nil
	})
}

// diskUsage is the disk space a tree takes, in bytes. Names that vanish meanwhile count nothing.
func diskUsage(dir string) (int64, error) {
	var sum int64
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil || st.Nlink > 1 && seen[st.Ino] {
			return nil
		}
		seen[st.Ino] = true
		sum += st.Blocks * 512
		return nil
	})
	return sum, err
}
