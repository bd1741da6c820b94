package sshgate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/sftp"
)

// entry is a line of the protocol that announces a file or a folder.
type entry struct {
	folder bool
	mode   os.FileMode
	size   int64
	name   string
	times  *times // of the T line before it
}

type times struct{ modified, accessed time.Time }

// sink receives files ("scp -t").
func (r *rcp) sink() error {
	text := r.opts.paths[0].text
	target, err := r.absolute(text)
	if err != nil {
		return r.complain(text, err)
	}
	folder := r.isFolder(target)
	if !folder && (r.opts.folder || strings.HasSuffix(text, "/")) {
		return r.complain(text, r.explain("gate.scp.no-folder"))
	}
	return r.receive(target, folder, 0)
}

func (r *rcp) isFolder(p string) bool {
	if name, _ := r.tree.split(p); name == "" {
		return true
	}
	at, err := r.tree.at(p)
	if err != nil {
		return false
	}
	info, err := at.Stat(at.path)
	return err == nil && info.IsDir()
}

// receive takes entries into target until the end of the folder, or of the transfer. Its first byte answers what led
// here: the start, or the D line.
func (r *rcp) receive(target string, folder bool, depth int) error {
	var before *times
	for answer := r.ack; ; {
		if answer != nil {
			if err := answer(); err != nil {
				return err
			}
		}
		line, err := r.line()
		if errors.Is(err, io.EOF) && depth == 0 && line == "" {
			return nil
		}
		if err != nil {
			return err
		}
		if line == "" {
			return r.broken(line)
		}
		answer = r.ack
		switch line[0] {
		case 1: // the client could not read something; it goes on
			r.bad, answer = true, nil
		case 'T':
			if before, err = parseTimes(line); err != nil {
				return r.broken(line)
			}
		case 'E':
			if depth == 0 {
				return r.broken(line)
			}
			return r.ack()
		case 'C', 'D':
			e, err := parseEntry(line)
			if err != nil {
				return r.broken(line)
			}
			e.times, before = before, nil
			to := target
			if folder {
				to = path.Join(target, e.name)
			}
			if err := r.take(e, to, depth); err != nil {
				return err
			}
			answer = nil // take has answered
		default:
			return r.broken(line)
		}
	}
}

// broken ends a transfer whose client does not follow the protocol.
func (r *rcp) broken(line string) error {
	r.log.Warn("scp protocol", "line", printable(line))
	_ = r.send("\x02scp: " + r.t("gate.scp.protocol") + "\n")
	return errProtocol
}

var (
	entryLine = regexp.MustCompile(`^([CD])([0-7]{4}) (\d{1,16}) ([^\x00]+)$`)
	timesLine = regexp.MustCompile(`^T(\d{1,11}) \d{1,6} (\d{1,11}) \d{1,6}$`)
)

// parseEntry refuses every name that is more than a name: where files go is decided here, not by the client's name.
func parseEntry(line string) (entry, error) {
	m := entryLine.FindStringSubmatch(line)
	if m == nil {
		return entry{}, errProtocol
	}
	mode, _ := strconv.ParseUint(m[2], 8, 32)
	size, err := strconv.ParseInt(m[3], 10, 64)
	name := m[4]
	if err != nil || size > maxSize || len(name) > maxName || strings.Contains(name, "/") || name == "." || name == ".." {
		return entry{}, errProtocol
	}
	return entry{folder: m[1] == "D", mode: unixMode(uint32(mode)), size: size, name: name}, nil
}

// unixMode carries the three high bits to where os.FileMode has them.
func unixMode(bits uint32) os.FileMode {
	mode := os.FileMode(bits) & os.ModePerm
	for bit, flag := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

func unixBits(mode os.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for bit, flag := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

func parseTimes(line string) (*times, error) {
	m := timesLine.FindStringSubmatch(line)
	if m == nil {
		return nil, errProtocol
	}
	modified, _ := strconv.ParseInt(m[1], 10, 64)
	accessed, _ := strconv.ParseInt(m[2], 10, 64)
	return &times{time.Unix(modified, 0), time.Unix(accessed, 0)}, nil
}

// take receives one entry to the path to, and answers it. An error ends the transfer; what fails about the entry alone
// is told to the client.
func (r *rcp) take(e entry, to string, depth int) error {
	switch {
	case e.folder && !r.opts.recursive:
		return r.broken(fmt.Sprintf("D%s", e.name))
	case e.folder && depth >= maxDepth:
		return r.complain(to, r.explain("gate.scp.deep"))
	}
	p, err := r.tree.inside(to)
	if err != nil {
		return r.complain(to, err)
	}
	if e.folder {
		return r.takeFolder(e, p, to, depth)
	}
	return r.takeFile(e, p, to)
}

func (r *rcp) takeFolder(e entry, p spot, to string, depth int) error {
	made, err := makeFolder(p)
	if err != nil {
		return r.complain(to, r.tree.fault(p.site, p.full(r.tree, err)))
	}
	if err := r.receive(to, true, depth+1); err != nil {
		return err
	}
	// Last: what came into the folder has changed its time, and could not come in without its write bit. The folder has
	// been answered, so a fault here can only be seen in the exit status.
	if err := r.finish(e, p, made); err != nil {
		r.bad = true
		r.log.Info("scp folder", "err", err)
	}
	return nil
}

func makeFolder(p spot) (made bool, err error) {
	info, err := p.Stat(p.path)
	switch {
	case err == nil && info.IsDir():
		return false, nil
	case err == nil:
		return false, errors.New("not a directory")
	case !errors.Is(err, os.ErrNotExist):
		return false, err
	}
	return true, p.Mkdir(p.path)
}

// takeFile receives the bytes even when they cannot be kept: the protocol has no other way to go on to the next file.
func (r *rcp) takeFile(e entry, p spot, to string) error {
	fail := func(err error) error { return r.complain(to, r.tree.fault(p.site, p.full(r.tree, err))) }
	mode := e.mode.Perm()
	if mode == 0 {
		mode = 0o600
	}
	f, err := p.create(os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = f.Close() }() // a second time is harmless
	if err := r.ack(); err != nil {
		return err
	}
	kept, err := r.keep(f, e.size)
	if err != nil {
		return err
	}
	if err := r.response(); err != nil && !errors.Is(err, errRefused) {
		return err
	}
	if err := errors.Join(kept, f.Close()); err != nil {
		return fail(err)
	}
	if err := r.finish(e, p, false); err != nil {
		return fail(err)
	}
	return r.ack()
}

// keep copies size bytes from the client into f. kept is why f does not hold them all, err why the client stopped.
func (r *rcp) keep(f *sftp.File, size int64) (kept, err error) {
	w := &untilError{Writer: f}
	buf := make([]byte, 32<<10) // what one SFTP request holds
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.LimitReader(r.in, size)}, buf)
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return w.err, err
}

// untilError writes until the first error, and then pretends.
type untilError struct {
	io.Writer
	err error
}

func (w *untilError) Write(p []byte) (int, error) {
	if w.err == nil {
		_, w.err = w.Writer.Write(p)
	}
	return len(p), nil
}

// finish sets mode and times as "-p" asks, or the mode of a folder just made.
func (r *rcp) finish(e entry, p spot, made bool) error {
	var err error
	switch {
	case r.opts.preserve:
		err = p.Chmod(p.path, e.mode)
	case made:
		err = p.Chmod(p.path, e.mode.Perm()&^umask)
	}
	if r.opts.preserve && e.times != nil {
		err = errors.Join(err, p.Chtimes(p.path, e.times.accessed, e.times.modified))
	}
	return err
}
