package stage

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

var (
	nodes = []string{"null", "zero", "full", "random", "urandom", "tty"}
	links = map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
		"stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	}
)

// devices makes /dev anew: nothing of the template's or the tenant's /dev is used. It is read-only in the end, so
// that /dev/null stays what it is. Among what is held is the box's own devpts, from which init opens terminals.
func devices(p Plan, root int, held holds) error {
	at, err := folder(root, "dev", 0o755)
	if err != nil {
		return err
	}
	if p.off(OwnDev) {
		return hostsDev(p, at, held)
	}
	dev, err := fresh("tmpfs", inert, "mode=0755", "size=64k", "nr_inodes=64")
	if err != nil {
		return err
	}
	if err := move(dev, at); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	if err := hostNodes(dev); err != nil {
		return err
	}
	for name, target := range links {
		if err := unix.Symlinkat(target, dev, name); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	if err := spaces(p, dev, held); err != nil || p.off(DevFixed) {
		return err
	}
	return restrict(dev, unix.MOUNT_ATTR_RDONLY)
}

// spaces are the file systems of their own below /dev.
func spaces(p Plan, dev int, held holds) (err error) {
	held[Shm], err = mountAt(dev, "shm", "tmpfs", inert, "mode=1777", "nr_inodes=4096", "size="+strconv.FormatInt(p.Tmp, 10))
	if err != nil {
		return err
	}
	if !p.off(IPCSpace) {
		if _, err := mountAt(dev, "mqueue", "mqueue", inert); err != nil {
			return err
		}
	}
	return pts(p, dev, held)
}

// hostNodes binds the host's nodes: a user namespace cannot make device nodes, and must not.
func hostNodes(dev int) error {
	for _, name := range nodes {
		m, err := hostNode(name)
		if err != nil {
			return err
		}
		if err := unix.Mknodat(dev, name, unix.S_IFREG|0o666, 0); err != nil {
			return fmt.Errorf("make %s: %w", name, err)
		}
		if err := attach(m, dev, name); err != nil {
			return err
		}
		_ = unix.Close(m)
	}
	return nil
}

func hostNode(name string) (int, error) {
	m, err := copyOf(unix.AT_FDCWD, "/dev/"+name)
	if err != nil {
		return -1, err
	}
	return m, restrict(m, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
}

// hostsDev gives the host's own /dev to a test that leaves ours out.
func hostsDev(p Plan, at int, held holds) error {
	dev, err := unix.OpenTree(unix.AT_FDCWD, "/dev", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	if err := move(dev, at); err != nil {
		return err
	}
	return pts(p, dev, held)
}

func pts(p Plan, dev int, held holds) (err error) {
	most := p.Terminals
	if p.off(Terminals64) {
		most = 1024
	}
	held[Terminals], err = mountAt(dev, "pts", "devpts", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC,
		append([]string{"newinstance"}, PTS(TTYGroup, most)...)...)
	return err
}

// TTYGroup owns terminals inside, as Debian wants it.
const TTYGroup = 5

// PTS are the options of a devpts. Whoever changes one has to say all of them again: the kernel forgets the others. The
// group is numbered as whoever sets it sees it.
func PTS(group, most int) []string {
	return []string{"ptmxmode=0666", "mode=0620", "gid=" + strconv.Itoa(group), "max=" + strconv.Itoa(most)}
}
