package sshgate

import (
	"encoding/binary"
	"os"
	"sync"

	"github.com/pkg/sftp"
)

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
