package sshgate

import (
	"errors"

	"github.com/pkg/sftp"
)

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
