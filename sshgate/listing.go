package sshgate

import (
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"petitpont/site"
)

// Filelist lists a folder, or describes one file and follows links to it.
func (m mounts) Filelist(r *sftp.Request) (_ sftp.ListerAt, err error) {
	defer m.caught(&err)
	if r.Method == "List" {
		return m.list(r.Filepath)
	}
	return m.stat(r.Filepath, func(p spot) (os.FileInfo, error) { return p.Stat(p.path) })
}

// Lstat describes one file or link.
func (m mounts) Lstat(r *sftp.Request) (_ sftp.ListerAt, err error) {
	defer m.caught(&err)
	return m.stat(r.Filepath, func(p spot) (os.FileInfo, error) { return p.Client.Lstat(p.path) })
}

func (m mounts) stat(where string, stat func(spot) (os.FileInfo, error)) (sftp.ListerAt, error) {
	if name, _ := m.split(where); name == "" {
		return &listing{infos: []os.FileInfo{folder{name: "/"}}}, nil
	}
	p, err := m.at(where)
	if err != nil {
		return nil, err
	}
	info, err := stat(p)
	if err != nil {
		return nil, m.fault(p.site, err)
	}
	return &listing{infos: []os.FileInfo{info}}, nil
}

func (m mounts) list(where string) (sftp.ListerAt, error) {
	if name, _ := m.split(where); name == "" {
		return m.listSites()
	}
	p, err := m.at(where)
	if err != nil {
		return nil, err
	}
	infos, release, err := m.readDir(p)
	if err != nil {
		return nil, err
	}
	return &listing{infos: infos, release: release}, nil
}

// readDir counts the names it returns for the person until release.
func (t *tree) readDir(p spot) (infos []os.FileInfo, release func(), err error) {
	who := t.conn.person
	who.listing.Lock()
	defer who.listing.Unlock()
	infos, err = p.ReadDirContext(t.ctx, p.path)
	if err != nil {
		return nil, nil, t.fault(p.site, err)
	}
	n := len(infos)
	if !who.take(&who.names, n, t.gate.Limits.Names) {
		return nil, nil, t.fault(p.site, errBudget)
	}
	return infos, sync.OnceFunc(func() { who.give(&who.names, n) }), nil
}

func (m mounts) listSites() (sftp.ListerAt, error) {
	mine, err := m.gate.Sites.Mine(m.ctx, m.who)
	if err != nil {
		return nil, m.fault("", err)
	}
	l := &listing{}
	for _, s := range mine {
		l.infos = append(l.infos, folder{s.Name, changed(s)})
	}
	slices.SortFunc(l.infos, func(a, b os.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return l, nil
}

func changed(s site.Site) time.Time {
	for _, t := range []time.Time{s.UsedAt, s.ChangedAt, s.CreatedAt} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Unix(0, 0)
}

// Readlink returns the text of a link.
func (m mounts) Readlink(where string) (_ string, err error) {
	defer m.caught(&err)
	p, err := m.at(where)
	if err != nil {
		return "", err
	}
	text, err := p.ReadLink(p.path)
	return text, m.fault(p.site, err)
}

// LookupUserName names the owner of files in listings: sites know one person, and their numbers mean nothing outside.
func (m mounts) LookupUserName(uid string) string { return siteUser(uid) }

// LookupGroupName is LookupUserName for groups.
func (m mounts) LookupGroupName(gid string) string { return siteUser(gid) }

func siteUser(id string) string {
	if id == "1000" {
		return "site"
	}
	return id
}

// listing is names on their way to a client.
type listing struct {
	infos   []os.FileInfo
	release func()
}

func (l *listing) ListAt(to []os.FileInfo, off int64) (int, error) {
	if off >= int64(len(l.infos)) {
		return 0, io.EOF
	}
	n := copy(to, l.infos[off:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

func (l *listing) Close() error {
	if l.release != nil {
		l.release()
	}
	return nil
}

// folder is the root of all sites, or one of them in it.
type folder struct {
	name string
	time time.Time
}

func (f folder) Name() string       { return f.name }
func (f folder) Size() int64        { return 4096 }
func (f folder) Mode() os.FileMode  { return os.ModeDir | 0o755 }
func (f folder) ModTime() time.Time { return f.time }
func (f folder) IsDir() bool        { return true }
func (f folder) Sys() any           { return nil }
func (f folder) Uid() uint32        { return 1000 }
func (f folder) Gid() uint32        { return 1000 }

// StatVFS says how full the disk of a site is.
func (m mounts) StatVFS(r *sftp.Request) (_ *sftp.StatVFS, err error) {
	defer m.caught(&err)
	p, err := m.at(r.Filepath)
	if err != nil {
		return nil, err
	}
	v, err := p.Client.StatVFS(p.path)
	return v, m.fault(p.site, err)
}
