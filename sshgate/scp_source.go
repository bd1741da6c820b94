package sshgate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/pkg/sftp"
)

const maxMatches = 10_000 // paths that the wildcards of one command may name

// source sends files ("scp -f").
func (r *rcp) source() error {
	if err := r.response(); err != nil {
		return err
	}
	for _, w := range r.opts.paths {
		paths, err := r.expand(w)
		if err != nil {
			if err := r.complain(w.text, err); err != nil {
				return err
			}
			continue
		}
		for _, p := range paths {
			if err := r.give(p, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// give sends one file or folder. An error ends the transfer.
func (r *rcp) give(where string, depth int) error {
	p, info, err := r.look(where)
	switch {
	case err != nil:
		return r.complain(where, err)
	case strings.ContainsAny(info.Name(), "\n\r"): // cannot be said in this protocol
		return r.complain(where, r.explain("gate.scp.name"))
	case info.Mode().IsRegular():
		return r.giveFile(p, info, where)
	case !info.IsDir() || !r.opts.recursive:
		return r.complain(where, r.explain("gate.scp.irregular"))
	case depth >= maxDepth:
		return r.complain(where, r.explain("gate.scp.deep"))
	}
	return r.giveFolder(p, info, where, depth)
}

func (r *rcp) look(where string) (spot, os.FileInfo, error) {
	p, err := r.tree.at(where)
	if err != nil {
		return p, nil, err
	}
	info, err := p.Stat(p.path)
	return p, info, r.tree.fault(p.site, err)
}

// nameOf is what the client will call it. The root of a site is called like the site.
func nameOf(p spot) string {
	if p.path == "/" {
		return p.site
	}
	return path.Base(p.path)
}

func (r *rcp) giveFile(p spot, info os.FileInfo, where string) error {
	f, err := p.OpenFile(p.path, os.O_RDONLY)
	if err != nil {
		return r.complain(where, r.tree.fault(p.site, err))
	}
	defer f.Close()
	if err := r.announce('C', p, info, info.Size()); err != nil {
		return skipped(err)
	}
	read, err := r.pour(f, info.Size())
	if err != nil {
		return err
	}
	if read != nil {
		err = r.complain(where, r.tree.fault(p.site, read))
	} else {
		err = r.ack()
	}
	return errors.Join(err, skipped(r.response()))
}

// skipped is the answer to one file: refused means that the client goes on without it.
func skipped(err error) error {
	if errors.Is(err, errRefused) {
		return nil
	}
	return err
}

// announce sends the lines before a file or a folder and waits for the answers.
func (r *rcp) announce(kind byte, p spot, info os.FileInfo, size int64) error {
	if r.opts.preserve {
		modified, accessed := info.ModTime().Unix(), info.ModTime().Unix()
		if st, ok := info.Sys().(*sftp.FileStat); ok {
			accessed = int64(st.Atime)
		}
		if err := r.ask(fmt.Sprintf("T%d 0 %d 0\n", modified, accessed)); err != nil {
			return err
		}
	}
	return r.ask(fmt.Sprintf("%c%04o %d %s\n", kind, unixBits(info.Mode()), size, nameOf(p)))
}

func (r *rcp) ask(line string) error {
	if err := r.send(line); err != nil {
		return err
	}
	return r.response()
}

// pour sends exactly size bytes, as announced: a file that became shorter is filled with zeros, and read says why.
func (r *rcp) pour(f *sftp.File, size int64) (read, err error) {
	buf := make([]byte, 32<<10)
	for left := size; left > 0; {
		n := int(min(left, int64(len(buf))))
		if read == nil {
			_, read = io.ReadFull(f, buf[:n])
		}
		if read != nil {
			clear(buf)
		}
		if _, err := r.out.Write(buf[:n]); err != nil {
			return nil, err
		}
		left -= int64(n)
	}
	return read, nil
}

func (r *rcp) giveFolder(p spot, info os.FileInfo, where string, depth int) error {
	infos, release, err := r.tree.readDir(p)
	if err != nil {
		return r.complain(where, err)
	}
	defer release()
	if err := r.announce('D', p, info, 0); err != nil {
		return skipped(err)
	}
	for _, in := range infos {
		if err := r.give(path.Join(where, in.Name()), depth+1); err != nil {
			return err
		}
	}
	return skipped(r.ask("E\n"))
}

// expand finds the paths a word means. As with sh, a pattern that fits nothing means itself.
func (r *rcp) expand(w word) ([]string, error) {
	plain, err := r.absolute(w.text)
	if err != nil || w.pattern == "" {
		return []string{plain}, err
	}
	pattern, err := r.absolute(w.pattern)
	if err != nil {
		return nil, err
	}
	found := []string{"/"}
	if !path.IsAbs(w.pattern) { // the start is a path, not a pattern
		found, pattern = []string{r.start}, strings.TrimPrefix(strings.TrimPrefix(w.pattern, "~"), "/")
	}
	for _, part := range strings.Split(strings.Trim(pattern, "/"), "/") {
		if found, err = r.match(found, part); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return []string{plain}, nil
	}
	return found, nil
}

// match goes one folder down from each of dirs.
func (r *rcp) match(dirs []string, part string) ([]string, error) {
	var found []string
	for _, dir := range dirs {
		if !strings.ContainsAny(part, `*?[\`) {
			next := path.Join(dir, part)
			if _, _, err := r.look(next); err == nil || part == "." || part == ".." {
				found = append(found, next)
			}
			continue
		}
		names, err := r.namesIn(dir)
		if err != nil { // not a folder, or not readable: fits nothing
			continue
		}
		for _, name := range names {
			fits, err := path.Match(part, name)
			if err != nil {
				return nil, r.explain("gate.scp.missing")
			}
			if fits && (name[0] != '.' || part[0] == '.') {
				found = append(found, path.Join(dir, name))
			}
		}
		if len(found) > maxMatches {
			return nil, errBudget
		}
	}
	return found, nil
}

func (r *rcp) namesIn(dir string) ([]string, error) {
	if name, _ := r.tree.split(dir); name == "" {
		mine, err := r.gate.Sites.Mine(r.Context(), r.who)
		return names(mine), err
	}
	p, err := r.tree.at(dir)
	if err != nil {
		return nil, err
	}
	infos, release, err := r.tree.readDir(p)
	if err != nil {
		return nil, err
	}
	defer release()
	var all []string
	for _, info := range infos {
		all = append(all, info.Name())
	}
	return all, nil
}
