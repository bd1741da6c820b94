package sshgate

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"petitpont/site"
)

// sftpAll serves every site of a person as a folder of one root.
func (s *session) sftpAll() int {
	t := s.newTree(s.Context())
	count := &counted{session: s}
	began := time.Now()
	server := sftp.NewRequestServer(count, sftp.Handlers{FileGet: mounts{t}, FilePut: mounts{t}, FileCmd: mounts{t}, FileList: mounts{t}})
	err := server.Serve()
	_ = server.Close()
	s.done("sftp", "*", began, count.up.Load(), count.down.Load())
	if err != nil && !errors.Is(err, io.EOF) {
		return exitFailed
	}
	return exitDone
}

// counted is a session without its exit status: the request server closes what it serves, the handler closes the session.
type counted struct {
	session  *session
	up, down atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.session.Read(p)
	c.up.Add(int64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.session.Write(p)
	c.down.Add(int64(n))
	return n, err
}

func (c *counted) Close() error { return nil }

// mounts answers the requests of an SFTP client on the root of all sites: each goes to the site its path begins with.
type mounts struct{ *tree }

var (
	_ sftp.OpenFileWriter       = mounts{}
	_ sftp.FileReader           = mounts{}
	_ sftp.PosixRenameFileCmder = mounts{}
	_ sftp.StatVFSFileCmder     = mounts{}
	_ sftp.LstatFileLister      = mounts{}
	_ sftp.ReadlinkFileLister   = mounts{}
	_ sftp.NameLookupFileLister = mounts{}
)

// Fileread opens a file for reading.
func (m mounts) Fileread(r *sftp.Request) (_ io.ReaderAt, err error) {
	defer m.caught(&err)
	p, err := m.at(r.Filepath)
	if err != nil {
		return nil, err
	}
	return m.hold(p, func() (*sftp.File, error) { return p.OpenFile(p.path, os.O_RDONLY) })
}

// Filewrite opens a file for writing.
func (m mounts) Filewrite(r *sftp.Request) (io.WriterAt, error) { return m.OpenFile(r) }

// OpenFile opens a file for writing, and for reading if asked.
func (m mounts) OpenFile(r *sftp.Request) (_ sftp.WriterAtReaderAt, err error) {
	defer m.caught(&err)
	p, err := m.inside(r.Filepath)
	if err != nil {
		return nil, err
	}
	return m.hold(p, func() (*sftp.File, error) { return p.create(openFlags(r.Pflags()), openMode(r.Attrs)) })
}

func openFlags(f sftp.FileOpenFlags) int {
	flags := os.O_WRONLY
	if f.Read {
		flags = os.O_RDWR
	}
	for _, bit := range []struct {
		on   bool
		flag int
	}{{f.Append, os.O_APPEND}, {f.Creat, os.O_CREATE}, {f.Trunc, os.O_TRUNC}, {f.Excl, os.O_EXCL}} {
		if bit.on {
			flags |= bit.flag
		}
	}
	return flags
}

// openMode reads the permissions that came with an open. pkg/sftp keeps the bytes of the attributes but not the flags
// that say which they are; four bytes can only be permissions, and that is what OpenSSH, scp and lftp send. Zero is what
// WinSCP sends when it means nothing.
func openMode(attrs []byte) os.FileMode {
	if len(attrs) != 4 {
		return 0
	}
	return os.FileMode(binary.BigEndian.Uint32(attrs)) & os.ModePerm
}

// create opens p. As with open(2), mode is for a file that was not there before, less the umask.
func (p spot) create(flags int, mode os.FileMode) (*sftp.File, error) {
	if flags&os.O_CREATE == 0 || mode == 0 {
		return p.OpenFile(p.path, flags)
	}
	f, err := p.OpenFile(p.path, flags|os.O_EXCL)
	if err != nil && flags&os.O_EXCL == 0 {
		return p.OpenFile(p.path, flags)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode &^ umask); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

const umask = 0o022 // of the site's own SFTP server

// hold counts an open file for its person until it is closed.
func (m mounts) hold(p spot, open func() (*sftp.File, error)) (*heldFile, error) {
	who := m.conn.person
	if !who.take(&who.handles, 1, m.gate.Limits.Handles) {
		return nil, m.fault(p.site, errBudget)
	}
	f, err := open()
	if err != nil {
		who.give(&who.handles, 1)
		return nil, m.fault(p.site, p.full(m.tree, err))
	}
	return &heldFile{File: f, spot: p, tree: m.tree}, nil
}

// heldFile is an open file of a site.
type heldFile struct {
	*sftp.File
	spot   spot
	tree   *tree
	closed sync.Once
}

func (f *heldFile) ReadAt(b []byte, off int64) (n int, err error) {
	defer f.tree.caught(&err)
	n, err = f.File.ReadAt(b, off)
	return n, f.tree.fault(f.spot.site, err)
}

func (f *heldFile) WriteAt(b []byte, off int64) (n int, err error) {
	defer f.tree.caught(&err)
	n, err = f.File.WriteAt(b, off)
	return n, f.tree.fault(f.spot.site, f.spot.full(f.tree, err))
}

func (f *heldFile) Close() (err error) {
	defer f.tree.caught(&err)
	f.closed.Do(func() {
		who := f.tree.conn.person
		who.give(&who.handles, 1)
		err = f.tree.fault(f.spot.site, f.File.Close())
	})
	return err
}

// Filecmd changes something that is not the content of a file.
func (m mounts) Filecmd(r *sftp.Request) (err error) {
	defer m.caught(&err)
	switch r.Method {
	case "Rename":
		return m.two(r, func(p spot, to string) error { return p.Rename(p.path, to) })
	case "Link":
		return m.two(r, func(p spot, to string) error { return p.Link(p.path, to) })
	case "Symlink": // Filepath is the text of the link, as the client sent it; Target is where the link goes
		return m.one(r.Target, func(p spot) error { return p.Symlink(r.Filepath, p.path) })
	case "Setstat":
		p, err := m.at(r.Filepath)
		if err != nil {
			return err
		}
		return m.fault(p.site, p.full(m.tree, p.setstat(r.AttrFlags(), r.Attributes())))
	case "Mkdir":
		return m.one(r.Filepath, func(p spot) error { return p.Mkdir(p.path) })
	case "Rmdir":
		return m.one(r.Filepath, func(p spot) error { return p.RemoveDirectory(p.path) })
	case "Remove":
		return m.one(r.Filepath, func(p spot) error { return p.Client.Remove(p.path) })
	}
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename replaces the target.
func (m mounts) PosixRename(r *sftp.Request) (err error) {
	defer m.caught(&err)
	return m.two(r, func(p spot, to string) error { return p.PosixRename(p.path, to) })
}

func (m mounts) one(where string, do func(spot) error) error {
	p, err := m.inside(where)
	if err != nil {
		return err
	}
	return m.fault(p.site, p.full(m.tree, do(p)))
}

// two is for what has two ends, which must lie in one site: sites are separate disks.
func (m mounts) two(r *sftp.Request, do func(p spot, to string) error) error {
	p, err := m.inside(r.Filepath)
	if err != nil {
		return err
	}
	name, to := m.split(r.Target)
	switch {
	case name == "" || to == "/":
		return m.fault(p.site, errRoot)
	case name != p.site:
		return m.fault(p.site, errAcross)
	}
	return m.fault(p.site, p.full(m.tree, do(p, to)))
}

// setstat applies in the order of OpenSSH: times come after what would change them.
func (p spot) setstat(has sftp.FileAttrFlags, to *sftp.FileStat) error {
	var err error
	if has.Size {
		err = p.Truncate(p.path, int64(to.Size))
	}
	if has.Permissions {
		err = errors.Join(err, p.Chmod(p.path, to.FileMode()))
	}
	if has.Acmodtime {
		err = errors.Join(err, p.Chtimes(p.path, to.AccessTime(), to.ModTime()))
	}
	if has.UidGid {
		err = errors.Join(err, p.Chown(p.path, int(to.UID), int(to.GID)))
	}
	return err
}

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
