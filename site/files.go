package site

import (
	"context"
	"net"
	"strconv"
	"sync"
)

// maxSessions is how many file sessions a site may have at once. Each is a process of some five threads among those the
// site may have, and two dozen filled the 128 of a student's site: whoever stood outside was told nothing of it.
const maxSessions = 16

// Files opens an SFTP session in the site, without waking it. It counts as use until it is closed, and it is closed
// when the person or the site is revoked (RULE EPOCH). A site being made is waited for. CodeSessions when there are too
// many already.
func (v *Service) Files(ctx context.Context, who Identity, name string) (net.Conn, error) {
	e, err := v.find(who, name)
	if err != nil {
		return nil, err
	}
	// Taken before the session opens: a revocation in between is not missed.
	person, here := v.Revoked(who), v.RevokedSite(e.id)
	if err := v.made(ctx, e); err != nil {
		return nil, err
	}
	if n := e.sessions.Add(1); n > maxSessions {
		e.sessions.Add(-1)
		return nil, &Error{Code: CodeSessions, Args: Args{"s": name, "n": strconv.Itoa(maxSessions)}}
	}
	conn, err := v.cfg.Driver.Files(ctx, string(e.id))
	if err != nil {
		e.sessions.Add(-1)
		return nil, v.runtimeError(e.snapshot(), err)
	}
	e.mu.Lock()
	v.use(e)
	e.mu.Unlock()
	return v.guard(conn, e, person, here), nil
}

// made waits until the site has a disk.
func (v *Service) made(ctx context.Context, e *entry) error {
	for {
		e.mu.Lock()
		s, t := e.site, e.turn
		e.mu.Unlock()
		switch {
		case s.Want == Gone:
			return notFound()
		case !s.MadeAt.IsZero():
			return nil
		case s.Fault != nil:
			return s.Fault.asError(nil)
		case t == nil: // creation waits for the runtime
			return &Error{Code: CodeRuntimeDown}
		}
		if err := v.wait(ctx, e, t); err != nil {
			return err
		}
	}
}

// session is a connection that leaves the site when it is closed.
type session struct {
	net.Conn
	once sync.Once
	end  func()
	gone chan struct{}
}

func (v *Service) guard(conn net.Conn, e *entry, revoked ...<-chan struct{}) net.Conn {
	s := &session{Conn: conn, gone: make(chan struct{}), end: func() { e.sessions.Add(-1); v.leave(e) }}
	for _, r := range revoked {
		go func() {
			select {
			case <-r:
				_ = s.Close()
			case <-s.gone:
			}
		}()
	}
	return s
}

// Close ends the session; closing twice is a no-op.
func (s *session) Close() (err error) {
	s.once.Do(func() {
		err = s.Conn.Close()
		close(s.gone)
		s.end()
	})
	return err
}
