package stage

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// bench is where the layers are put together: a directory every Linux has, and of which nothing is wanted here.
// What is mounted on it is in our own mount namespace and goes away with the old root.
const bench = "/proc"

// holds are mounts of the box that its init keeps open, by the number of the descriptor: a limit of theirs is changed
// through that, whatever the tenant does to the names they can be seen under.
type holds map[int]int

// build makes the tree, moves into it and leaves nothing of the host behind.
func build(p Plan, image, template int) (holds, error) {
	hosts, err := hostsProc(p)
	if err != nil {
		return nil, err
	}
	root, err := overlay(p, image, template)
	if err != nil {
		return nil, err
	}
	if p.off(OwnLayer) {
		if err := expose(template, root); err != nil {
			return nil, err
		}
	}
	held := holds{}
	if err := devices(p, root, held); err != nil {
		return nil, fmt.Errorf("/dev: %w", err)
	}
	if err := scratch(root, p.Tmp, held); err != nil {
		return nil, err
	}
	if err := kernelViews(p, root, hosts); err != nil { // last: it ends with a ceiling of no further mount namespaces
		return nil, err
	}
	if err := pivot(p, root); err != nil {
		return nil, err
	}
	return held, settle(p)
}

// hostsProc is the host's /proc for a test that leaves ours out. It is taken before the bench covers it.
func hostsProc(p Plan) (int, error) {
	if !p.off(OwnProc) {
		return -1, nil
	}
	return unix.OpenTree(unix.AT_FDCWD, "/proc", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
}

// overlay joins template and image. The child mounts it, with userxattr: from the host it fails on kernels before
// 6.13 or turns silently read-only. The layers are attached first, because older kernels refuse detached ones.
func overlay(p Plan, image, template int) (root int, err error) {
	m, err := fresh("tmpfs", inert, "size=64k", "nr_inodes=16")
	if err != nil {
		return -1, err
	}
	if err := unix.MoveMount(m, "", unix.AT_FDCWD, bench, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return -1, fmt.Errorf("attach bench: %w", err)
	}
	for name, layer := range map[string]int{"image": image, "template": template} {
		if err := place(layer, m, name); err != nil {
			return -1, err
		}
	}
	if root, err = writable(image, diskAttrs(p)); err != nil {
		return -1, err
	}
	refill(image)
	return root, place(root, m, "root")
}

// expose lays two files of the template over the site's own, for a test that wants to see them written.
func expose(template, root int) error {
	for _, name := range []string{"etc/issue", "etc/issue.net"} {
		m, err := copyOf(template, name)
		if err != nil {
			return err
		}
		if err := errors.Join(attach(m, root, name), unix.Close(m)); err != nil {
			return err
		}
	}
	return nil
}

// diskAttrs are the attributes of the site's tree: its files lend no rights, its device nodes are dead.
func diskAttrs(p Plan) int {
	attrs := quiet
	if p.off(NoSuid) {
		attrs &^= unix.MOUNT_ATTR_NOSUID
	}
	if p.off(NoDev) {
		attrs &^= unix.MOUNT_ATTR_NODEV
	}
	return attrs
}

func place(m, dir int, name string) error {
	if err := unix.Mkdirat(dir, name, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	return attach(m, dir, name)
}

// scratch gives /tmp and /run, which start empty each time and count as memory (RULE BUDGET).
func scratch(root int, size int64, held holds) (err error) {
	bytes := "size=" + strconv.FormatInt(size, 10)
	if held[Tmp], err = mountAt(root, "tmp", "tmpfs", quiet, "mode=1777", "nr_inodes=16384", bytes); err != nil {
		return err
	}
	if held[Run], err = mountAt(root, "run", "tmpfs", quiet, "mode=0755", "nr_inodes=16384", bytes); err != nil {
		return err
	}
	for _, f := range runFolders {
		if err := f.make(held[Run]); err != nil {
			return fmt.Errorf("make /run/%s: %w", f.name, err)
		}
	}
	return nil
}

// runFolders are in /run from the beginning. The templates' starters would make theirs otherwise, which takes a process for
// each of them at each start.
var runFolders = []runFolder{
	{"lock", 0o1777, 0},
	{"petitpont", 0o755, 0},
	{"petitpont/app", 0o755, siteUser},
}

// siteUser is the site's own user and group, the same in every template.
const siteUser = 1000

type runFolder struct {
	name  string
	mode  uint32
	owner int
}

func (f runFolder) make(run int) error {
	return errors.Join(unix.Mkdirat(run, f.name, f.mode), unix.Fchmodat(run, f.name, f.mode, 0),
		unix.Fchownat(run, f.name, f.owner, f.owner, unix.AT_SYMLINK_NOFOLLOW))
}

// mountAt mounts a new file system on a folder of root and returns its own root, which is closed with the exec at last.
func mountAt(root int, name, kind string, attrs int, options ...string) (int, error) {
	at, err := folder(root, name, 0o755)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(at) }()
	m, err := fresh(kind, attrs, options...)
	if err != nil {
		return -1, err
	}
	if err := move(m, at); err != nil {
		return -1, fmt.Errorf("attach /%s: %w", name, err)
	}
	return m, nil
}

// pivot makes root the root and lets go of the host's tree.
func pivot(p Plan, root int) error {
	if err := unix.Fchdir(root); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	if p.off(Pivot) {
		return unix.Chroot(".")
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil { // the old root lies on top of the new one
		return fmt.Errorf("let go of the host's tree: %w", err)
	}
	return unix.Chdir("/")
}
