package sshgate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"petitpont/site"
	"petitpont/views/i18n"
)

const (
	maxMounts    = 32               // sites one session holds open; an administrator may walk through hundreds
	mountTimeout = 30 * time.Second // for a site's SFTP server to say its version
)

// tree is the files that a session sees, under the paths its client uses: "/blog/www/index.php" for all sites of a
// person, "/www/index.php" in one site. It finds the site; the rest of a path is resolved by that site's own SFTP server
// (RULE NS). Servers are started when first needed, and again after they ended.
type tree struct {
	*session
	ctx context.Context

	mu     sync.Mutex
	mounts map[string]*mount // by name of site
}

type mount struct {
	ready  chan struct{}
	client *sftp.Client
	err    error
}

func (s *session) newTree(ctx context.Context) *tree {
	return &tree{session: s, ctx: ctx, mounts: map[string]*mount{}}
}

// spot is a path inside a site.
type spot struct {
	*sftp.Client
	site string
	path string // "/" is the site's root
}

// split cuts a clean absolute path into the name of a site and the path in it. The name is "" for the root of all sites.
func (t *tree) split(p string) (name, rest string) {
	p = path.Clean("/" + p)
	if t.site != "" {
		return t.site, p
	}
	name, rest, _ = strings.Cut(p[1:], "/")
	return name, "/" + rest
}

// at opens the site that p lies in.
func (t *tree) at(p string) (spot, error) {
	name, rest := t.split(p)
	if name == "" {
		return spot{}, t.fault("", errRoot)
	}
	client, err := t.mount(name)
	if err != nil {
		return spot{}, t.fault(name, err)
	}
	return spot{client, name, rest}, nil
}

// inside is at for changes: the folders of sites themselves can only be changed in the panel.
func (t *tree) inside(p string) (spot, error) {
	if name, rest := t.split(p); name == "" || rest == "/" {
		return spot{}, t.fault("", errRoot)
	}
	return t.at(p)
}

func (t *tree) mount(name string) (*sftp.Client, error) {
	t.mu.Lock()
	m := t.mounts[name]
	if m == nil && len(t.mounts) >= maxMounts {
		t.mu.Unlock()
		return nil, errMounts
	}
	if m == nil {
		m = &mount{ready: make(chan struct{})}
		t.mounts[name] = m
		go t.open(name, m)
	}
	t.mu.Unlock()
	<-m.ready
	return m.client, m.err
}

// open starts the SFTP server of a site and stays until it ends.
func (t *tree) open(name string, m *mount) {
	ready := sync.OnceFunc(func() { close(m.ready) })
	defer t.gate.recovered("sftp of a site")
	defer ready() // also after a panic: somebody waits
	defer t.drop(name, m)
	m.err = errNotOpened
	conn, err := t.files(t.ctx, name)
	if err != nil {
		m.err = err
		return
	}
	defer conn.Close()
	defer context.AfterFunc(t.ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(mountTimeout))
	m.client, m.err = sftp.NewClientPipe(conn, conn)
	conn.SetDeadline(time.Time{})
	ready()
	if m.err == nil {
		_ = m.client.Wait()
	}
}

func (t *tree) drop(name string, m *mount) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mounts[name] == m {
		delete(t.mounts, name)
	}
}

// What the tree itself refuses.
var (
	errRoot      = errors.New("the root of all sites is read-only")
	errAcross    = errors.New("rename or link across sites")
	errMounts    = errors.New("too many sites open in one session")
	errNotOpened = errors.New("sftp of the site was not opened")
	errBudget    = errors.New("too many open files or listed names")
)

// fault is an error in the person's language with the status that SFTP clients know. Clients show one or the other.
type fault struct {
	status error // one of sftp.ErrSSHFx...
	text   string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.status }

// fault says what went wrong on a site. Errors of the site's own server keep their status and their words.
func (t *tree) fault(name string, err error) error {
	var e *site.Error
	var status *sftp.StatusError
	var cut *net.OpError // what was sent after the end, before the client's reader had come upon it
	switch {
	case errors.Is(err, errRoot):
		return &fault{sftp.ErrSSHFxPermissionDenied, t.t("gate.root")}
	case errors.Is(err, errAcross):
		return &fault{sftp.ErrSSHFxOpUnsupported, t.t("gate.across")}
	case errors.Is(err, errMounts), errors.Is(err, errBudget):
		return &fault{sftp.ErrSSHFxFailure, t.t("gate.too-much")}
	case isCode(err, site.CodeNotFound):
		return &fault{sftp.ErrSSHFxNoSuchFile, t.unknown(t.ctx, name)}
	case errors.As(err, &e):
		return &fault{sftp.ErrSSHFxFailure, t.t("gate.says", i18n.Args{"text": sentence(t.lang, e)})}
	case errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.As(err, &cut):
		return t.lost(name)
	case errors.Is(err, os.ErrNotExist):
		return sftp.ErrSSHFxNoSuchFile
	case errors.Is(err, os.ErrPermission):
		return sftp.ErrSSHFxPermissionDenied
	case errors.As(err, &status) && status.Code == 8:
		return &fault{sftp.ErrSSHFxOpUnsupported, status.Error()}
	}
	return err
}

// lost is for files that were open when their site's server ended.
func (t *tree) lost(name string) error {
	if _, err := t.find(t.ctx, name); isCode(err, site.CodeNotFound) {
		return &fault{sftp.ErrSSHFxFailure, t.t("gate.gone", i18n.Args{"s": name})}
	}
	return &fault{sftp.ErrSSHFxFailure, t.t("gate.ended")}
}

// caught turns a panic into an error. The SFTP server of a site runs in reach of the site's owner: what it answers is
// hostile until read.
func (t *tree) caught(err *error) {
	if v := recover(); v != nil {
		t.log.Warn("sftp of a site answered nonsense", "value", fmt.Sprint(v))
		*err = sftp.ErrSSHFxBadMessage
	}
}

// full puts figures to "no space left on device" (M54).
func (p spot) full(t *tree, err error) error {
	text := ""
	if err != nil {
		text = strings.ToLower(err.Error())
	}
	if !strings.Contains(text, "no space left") && !strings.Contains(text, "quota") {
		return err
	}
	v, verr := p.StatVFS(path.Dir(p.path))
	if verr != nil {
		return err
	}
	size, free := v.TotalSpace(), v.Bavail*v.Frsize
	return &fault{sftp.ErrSSHFxFailure, t.t("gate.full", i18n.Args{
		"u": i18n.Bytes(t.lang, int64(size-min(free, size))), "q": i18n.Bytes(t.lang, int64(size)),
	})}
}
