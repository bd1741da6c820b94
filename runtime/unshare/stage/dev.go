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
// that /dev/null stays what it is. Returns the root of the box's own devpts, from which init opens terminals.
func devices(p Plan, root int) (terminals int, err error) {
	shm := p.Tmp
	at, err := folder(root, "dev", 0o755)
	if err != nil {
		return -1, err
	}
	if p.off(OwnDev) {
		return hostsDev(p, at)
	}
	dev, err := fresh("tmpfs", inert, "mode=0755", "size=64k", "nr_inodes=64")
	if err != nil {
		return -1, err
	}
	if err := move(dev, at); err != nil {
		return -1, fmt.Errorf("attach: %w", err)
	}
	if err := hostNodes(dev); err != nil {
		return -1, err
	}
	for name, target := range links {
		if err := unix.Symlinkat(target, dev, name); err != nil {
			return -1, fmt.Errorf("link %s: %w", name, err)
		}
	}
	if err := mountAt(dev, "shm", "tmpfs", inert, "mode=1777", "nr_inodes=4096", "size="+strconv.FormatInt(shm, 10)); err != nil {
		return -1, err
	}
	if !p.off(IPCSpace) {
		if err := mountAt(dev, "mqueue", "mqueue", inert); err != nil {
			return -1, err
		}
	}
	if terminals, err = pts(p, dev); err != nil || p.off(DevFixed) {
		return terminals, err
	}
	return terminals, restrict(dev, unix.MOUNT_ATTR_RDONLY)
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
func hostsDev(p Plan, at int) (terminals int, err error) {
	dev, err := unix.OpenTree(unix.AT_FDCWD, "/dev", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, err
	}
	if err := move(dev, at); err != nil {
		return -1, err
	}
	return pts(p, dev)
}

func pts(p Plan, dev int) (int, error) {
	at, err := folder(dev, "pts", 0o755)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(at) }()
	most := "max=" + strconv.Itoa(p.Terminals)
	if p.off(Terminals64) {
		most = "max=1024"
	}
	m, err := fresh("devpts", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", most)
	if err != nil {
		return -1, err
	}
	return m, move(m, at)
}
