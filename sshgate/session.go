package sshgate

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gliderlabs/ssh"

	"petitpont/site"
	"petitpont/views/i18n"
)

// Exit codes, those of the command line (UX.md 4.4).
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2
	exitNotFound   = 3
	exitNotAllowed = 4
	exitDown       = 10
)

// session is one channel of a person who has logged in. The name typed with the login is not here: only who it was.
type session struct {
	ssh.Session
	gate *Gate
	conn *conn
	who  site.Identity
	site string // of "login+site"; "" is every site of the person
	lang i18n.Lang
	log  *slog.Logger
}

// handler makes a handler of gliderlabs/ssh of one of ours: it finds out who is there, ends panics, and sends the exit
// status, without which scp reports an error.
func (g *Gate) handler(run func(*session) int) ssh.Handler {
	return func(s ssh.Session) {
		code := exitFailed
		defer func() { _ = s.Exit(code) }()
		defer g.recovered("ssh session")
		v := visitorOf(s.Context())
		if v == nil {
			code = exitNotAllowed
			return
		}
		code = run(g.newSession(s, v))
	}
}

func (g *Gate) newSession(s ssh.Session, v *visitor) *session {
	c := connOf(s.Context())
	return &session{
		Session: s, gate: g, conn: c, who: v.who, site: v.site, lang: g.language(s.Environ()),
		log: g.Log.With("conn", c.id, "who", v.who.Login),
	}
}

// language is what the client asked for, in the order of setlocale(3).
func (g *Gate) language(environ []string) i18n.Lang {
	for _, name := range []string{"LC_ALL=", "LC_MESSAGES=", "LANG="} {
		for _, v := range environ {
			value, ok := strings.CutPrefix(v, name)
			if !ok {
				continue
			}
			for _, l := range []i18n.Lang{i18n.FR, i18n.EN} {
				if strings.HasPrefix(value, string(l)) {
					return l
				}
			}
		}
	}
	return g.Lang
}

func (s *session) t(key string, args ...i18n.Args) string { return i18n.T(s.lang, key, args...) }

// say writes one line to the person, on the side that is not data.
func (s *session) say(text string) {
	_, _ = io.WriteString(s.Stderr(), text+s.newline())
}

// print writes data: lines that end in "\n".
func (s *session) print(text string) {
	_, _ = io.WriteString(s, text)
}

// newline also returns the cursor when the client has put its terminal in raw mode. Stdout is seen to by
// gliderlabs/ssh.
func (s *session) newline() string {
	if _, _, pty := s.Pty(); pty {
		return "\r\n"
	}
	return "\n"
}

// find resolves a name to a site of the person, or says why not (RULE SCOPE).
func (s *session) find(ctx context.Context, name string) (site.Site, error) {
	if !validName(name) { // never given to anything (RULE ARG)
		return site.Site{}, &site.Error{Code: site.CodeNotFound}
	}
	return s.gate.Sites.Find(ctx, s.who, name)
}

func validName(name string) bool {
	bad := func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-') }
	return name != "" && len(name) <= 40 && !strings.ContainsFunc(name, bad)
}

// files opens the files of one site.
func (s *session) files(ctx context.Context, name string) (net.Conn, error) {
	st, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.gate.Sites.Files(ctx, s.who, st.Name)
}

// fail tells the person why a site cannot be opened, and returns the exit code.
func (s *session) fail(ctx context.Context, name string, err error) int {
	var e *site.Error
	if !errors.As(err, &e) {
		s.log.Error("ssh session", "site", printable(name), "err", err)
		s.say(s.t("gate.unexpected"))
		return exitFailed
	}
	switch e.Code {
	case site.CodeNotFound: // M52
		s.say(s.unknown(ctx, name))
		return exitNotFound
	case site.CodeRuntimeDown:
		s.say(s.t("gate.says", i18n.Args{"text": sentence(s.lang, e)}))
		return exitDown
	}
	s.say(s.t("gate.says", i18n.Args{"text": sentence(s.lang, e)}))
	return exitFailed
}

// unknown is M52, with the names that would have worked.
func (s *session) unknown(ctx context.Context, name string) string {
	mine, err := s.gate.Sites.Mine(ctx, s.who)
	if err != nil || len(mine) == 0 {
		return s.t("gate.unknown-none", i18n.Args{"x": printable(name)})
	}
	return s.t("gate.unknown", i18n.Args{"x": printable(name), "list": strings.Join(names(mine), ", ")})
}

func names(sites []site.Site) []string {
	var all []string
	for _, st := range sites {
		all = append(all, st.Name)
	}
	slices.Sort(all)
	return all
}

// printable shortens what somebody typed and takes out what would move a terminal's cursor (RULE TEXT).
func printable(text string) string {
	if len(text) > 64 {
		text = text[:64]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\uFFFD' || r >= '\u202a' && r <= '\u202e' {
			return '?'
		}
		return r
	}, text)
}

// done writes the one line that the log keeps of a session.
func (s *session) done(kind, name string, began time.Time, up, down int64) {
	s.log.Info("ssh session", "kind", kind, "site", name, "up", up, "down", down, "took", time.Since(began).Round(time.Millisecond))
}
