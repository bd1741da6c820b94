package sshgate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"petitpont/views/i18n"
)

// The protocol of rcp, which "scp -O", scp before OpenSSH 9, pscp and others speak: the client runs "scp -t path" here to
// send and "scp -f path" to fetch. Each side answers every line and every file with one byte.
//
//	client, after "scp -t -p dir"        gate
//	                                     \0                    ready
//	T1700000000 0 1700000000 0\n         \0                    times of what comes next
//	C0644 12 index.php\n                 \0                    or \x01 and why not
//	12 bytes, \0                         \0                    or \x01 and what went wrong
//	D0755 0 img\n ... E\n                \0 each               a folder, with -r
//
// With "scp -f" the parts are swapped.
type rcp struct {
	*session
	tree  *tree
	in    *bufio.Reader
	out   io.Writer
	start string // relative paths begin here
	opts  scpOptions
	bad   bool // something was refused or failed; the rest went on
}

type scpOptions struct {
	to, from                    bool
	recursive, preserve, folder bool
	paths                       []word
}

const (
	maxLine  = 4 << 10 // bytes of one line of the protocol
	maxName  = 255     // bytes of a file name
	maxDepth = 128     // folders in folders; also ends a circle of links
	maxSize  = 1 << 50
)

var (
	errProtocol = errors.New("scp protocol error")
	errRefused  = errors.New("refused by the other side")
)

// scp runs one transfer in either direction.
func (s *session) scp(args []word) int {
	opts, ok := parseScp(args)
	if !ok {
		return s.usage(s.RawCommand())
	}
	count := &counted{session: s}
	r := &rcp{session: s, tree: s.newTree(s.Context()), in: bufio.NewReaderSize(count, relaySize), out: count, opts: opts, start: "/"}
	began := time.Now()
	err := r.run()
	kind, name := "scp -t", s.site
	if opts.from {
		kind = "scp -f"
	}
	s.done(kind, name, began, count.up.Load(), count.down.Load())
	if err != nil || r.bad {
		return exitFailed
	}
	return exitDone
}

// parseScp reads what clients put before the path: "-v -r -p -d -t --".
func parseScp(args []word) (o scpOptions, ok bool) {
	for len(args) > 0 && strings.HasPrefix(args[0].text, "-") && args[0].text != "-" {
		flags := args[0].text[1:]
		args = args[1:]
		if flags == "-" {
			break
		}
		for _, f := range flags {
			switch f {
			case 't':
				o.to = true
			case 'f':
				o.from = true
			case 'r':
				o.recursive = true
			case 'p':
				o.preserve = true
			case 'd':
				o.folder = true
			case 'v', 'q': // say more, say less: the log is ours
			default:
				return o, false
			}
		}
	}
	o.paths = args
	return o, o.to != o.from && len(args) > 0 && (o.from || len(args) == 1)
}

func (r *rcp) run() (err error) {
	defer r.tree.caught(&err)
	if err := r.begin(); err != nil {
		_ = r.complain("", err)
		return err
	}
	if r.opts.to {
		return r.sink()
	}
	return r.source()
}

// begin asks the site where a session starts: in the folder that is on the web. The root of all sites starts at "/".
func (r *rcp) begin() error {
	if r.site == "" {
		return nil
	}
	p, err := r.tree.at("/")
	if err != nil {
		return err
	}
	r.start, err = p.RealPath(".")
	return r.tree.fault(p.site, err)
}

// absolute resolves what was typed after the colon. "~" is where a session starts.
func (r *rcp) absolute(text string) (string, error) {
	switch {
	case text == "~" || strings.HasPrefix(text, "~/"):
		text = strings.TrimPrefix(text[1:], "/")
	case strings.HasPrefix(text, "~"):
		return "", &fault{sftp.ErrSSHFxNoSuchFile, r.t("gate.no-user")}
	}
	if path.IsAbs(text) {
		return path.Clean(text), nil
	}
	return path.Join(r.start, text), nil
}

func (r *rcp) send(text string) error {
	_, err := io.WriteString(r.out, text)
	return err
}

func (r *rcp) ack() error { return r.send("\x00") }

// complain reports err about a path to the client, which goes on with the next file.
func (r *rcp) complain(about string, err error) error {
	r.bad = true
	text := r.words(err)
	if about != "" {
		text = printable(about) + ": " + text
	}
	return r.send("\x01scp: " + text + "\n")
}

// words says err on one line, without what SFTP puts around it.
func (r *rcp) words(err error) string {
	var status *sftp.StatusError
	var f *fault
	switch {
	case errors.As(err, &f):
		return f.text
	case errors.Is(err, sftp.ErrSSHFxNoSuchFile):
		return r.t("gate.scp.missing")
	case errors.Is(err, sftp.ErrSSHFxPermissionDenied):
		return r.t("gate.scp.denied")
	case errors.As(err, &status):
		text := status.Error()
		if _, inside, ok := strings.Cut(text, `"`); ok {
			text, _, _ = strings.Cut(inside, `"`)
		}
		return printable(text)
	}
	return printable(err.Error())
}

func (r *rcp) explain(key string, args ...i18n.Args) error {
	return &fault{sftp.ErrSSHFxFailure, r.t(key, args...)}
}

// response reads the other side's answer. errRefused is about one file; everything else ends the transfer.
func (r *rcp) response() error {
	c, err := r.in.ReadByte()
	if err != nil {
		return err
	}
	switch c {
	case 0:
		return nil
	case 1, 2:
		text, err := r.line()
		if err != nil {
			return err
		}
		r.bad = true
		r.log.Info("scp client", "says", printable(text))
		if c == 2 {
			return errProtocol
		}
		return errRefused
	}
	return errProtocol
}

// line reads one line without its end.
func (r *rcp) line() (string, error) {
	var line []byte
	for {
		c, err := r.in.ReadByte()
		if err == io.EOF && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(line), nil
		}
		if line = append(line, c); len(line) > maxLine {
			return "", fmt.Errorf("%w: line too long", errProtocol)
		}
	}
}
