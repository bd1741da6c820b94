package sshgate

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
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
