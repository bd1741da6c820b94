package unshare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/unshare/stage"
)

// birthFlags are the namespaces of a box. The cgroup namespace is made by the stage, once it stands in its cgroup.
const birthFlags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
	syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS

// openBox makes the namespaces of a site and leaves init waiting for commands in them. Image, clone and network are
// made beside each other. The caller holds c.mu; after an error nothing is left.
func (d *Driver) openBox(ctx context.Context, c *container, attach bool) (err error) {
	var u undo
	defer u.run()
	id := c.record.Spec.ID
	mount := d.attachLater(ctx, c.record)
	defer mount.discard()
	b, control, err := d.bear(ctx, c, &u)
	if err != nil {
		return err
	}
	defer func() { _ = control.Close() }()
	defer context.AfterFunc(ctx, func() { _ = control.Close() })()
	link := d.plugLater(ctx, c.record, b, attach)
	if err := errors.Join(d.furnish(ctx, c.record, b, control, mount), link()); err != nil {
		return fmt.Errorf("box of %s: %w", id, errors.Join(ctx.Err(), err))
	}
	b.state.Attached = attach
	if err := d.step(ctx, "write state"); err != nil {
		return err
	}
	if err := b.save(); err != nil { // before "go": a box that no state names must not live
		return err
	}
	if err := d.step(ctx, "go"); err != nil {
		return err
	}
	if err := letGo(control); err != nil {
		return fmt.Errorf("box of %s: %w", id, errors.Join(ctx.Err(), err))
	}
	u.keep()
	return nil
}

// bear makes the cgroup, the folder and the process. From here on c.box is set, and its undo kills it.
func (d *Driver) bear(ctx context.Context, c *container, u *undo) (*box, *net.UnixConn, error) {
	id := c.record.Spec.ID
	b := &box{id: id, dir: d.boxDir(id), dead: make(chan struct{})}
	if err := d.step(ctx, "make cgroup"); err != nil {
		return nil, nil, err
	}
	var err error
	if b.group, err = d.groups.make(id, c.record.Spec.Limits); err != nil {
		return nil, nil, err
	}
	half := undo{func() { _ = b.group.remove() }}
	defer half.run()
	if err := d.step(ctx, "make run folder"); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(os.RemoveAll(b.dir), os.MkdirAll(b.dir, 0o700)); err != nil { // an old socket would be in the way
		return nil, nil, fmt.Errorf("make run folder: %w", err)
	}
	half.push(func() { _ = os.RemoveAll(b.dir) })
	if err := d.step(ctx, "clone"); err != nil {
		return nil, nil, err
	}
	control, err := d.clone(b, c.record.Spec.Slot)
	if err != nil {
		return nil, nil, fmt.Errorf("clone: %w", err)
	}
	half.keep()
	c.box = b
	d.watch(c, b)
	u.push(func() { _ = d.kill(ctx, c) })
	return b, control, nil
}

// clone starts the stage in new namespaces, in its cgroup.
func (d *Driver) clone(b *box, slot int) (_ *net.UnixConn, err error) {
	ours, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	files := []*os.File{theirs}
	defer func() { closeAll(files) }()
	listener, err := listenInit(b.dir)
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	files = append(files, listener)
	null, err1 := os.OpenFile("/dev/null", os.O_RDWR, 0)
	entry, err2 := b.group.entry()
	rings, err3 := newRings()
	files = append(files, null, entry)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	b.log = rings
	n := null.Fd()
	fds := []uintptr{n, n, n, listener.Fd(), rings.Fd(), theirs.Fd(), entry.Fd(), n, n, n, d.init.Fd(), d.box.Fd()}
	if err := b.group.spawn(func(attr *syscall.SysProcAttr) error { return d.fork(b, slot, fds, attr) }); err != nil {
		return nil, errors.Join(err, ours.Close(), rings.Close())
	}
	return ours, nil
}

func (d *Driver) fork(b *box, slot int, fds []uintptr, attr *syscall.SysProcAttr) error {
	first, pidfd := int(d.firstUID(slot)), -1
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: first, Size: idsPerSite}}
	attr.Cloneflags = d.spaces()
	if attr.Cloneflags&syscall.CLONE_NEWUSER != 0 {
		attr.UidMappings, attr.GidMappings, attr.GidMappingsEnableSetgroups = ids, ids, true
	}
	attr.Credential = &syscall.Credential{Uid: 0, Gid: 0}
	attr.PidFD = &pidfd
	pid, err := syscall.ForkExec(fmt.Sprintf("/proc/self/fd/%d", stage.Box), []string{"petitpont-box", "stage"},
		&syscall.ProcAttr{Dir: "/", Env: []string{"GOGC=off", "GOMAXPROCS=2"}, Files: fds, Sys: attr})
	if err != nil {
		return err
	}
	_ = unix.SetNonblock(pidfd, true)
	b.pidfd = os.NewFile(uintptr(pidfd), "init")
	b.state.PID = pid
	if b.state.Born, err = birth(pid); err != nil {
		signalled(b.pidfd, unix.SIGKILL)
		_ = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED, nil)
		return errors.Join(err, b.pidfd.Close())
	}
	// Tenants go before the system when the host runs out of memory, and cannot lower this themselves (RULE BUDGET).
	return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("500"), 0)
}

func controlPair() (*net.UnixConn, *os.File, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(p[0]), "stage"), os.NewFile(uintptr(p[1]), "stage")
	defer func() { _ = ours.Close() }()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}

func newRings() (*os.File, error) {
	fd, err := unix.MemfdCreate("petitpont-log", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "log")
	if err := f.Truncate(rings * ringStride); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	return f, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// furnish gives the stage its two layers, seen through the box's own user namespace, and waits until it has built.
func (d *Driver) furnish(ctx context.Context, r record, b *box, control *net.UnixConn, image *pending) error {
	users, err := b.namespace("user")
	if err != nil {
		return err
	}
	defer func() { _ = users.Close() }()
	if err := d.step(ctx, "clone template"); err != nil {
		return err
	}
	t, err := d.templates.get(r.Spec.Template, r.Version)
	if err != nil {
		return err
	}
	lower, err := unix.OpenTree(unix.AT_FDCWD, t.rootfs, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("clone template: %w", err)
	}
	defer func() { _ = unix.Close(lower) }()
	upper, err := image.wait()
	if err != nil {
		return &runtime.StartError{Reason: runtime.ReasonDisk, Err: err}
	}
	if err := d.step(ctx, "idmap"); err != nil {
		return err
	}
	if !d.weak(stage.UserSpace) {
		if err := throttle(b.group, upper, r.Spec.Limits); err != nil {
			return err
		}
		if err := errors.Join(idmap(upper, users, 0), idmap(lower, users, d.templateAttrs())); err != nil {
			return err
		}
	}
	plan, err := json.Marshal(d.plan(r))
	if err != nil {
		return err
	}
	if _, _, err := control.WriteMsgUnix(plan, unix.UnixRights(upper, lower), nil); err != nil {
		return fmt.Errorf("send plan: %w", err)
	}
	return built(control)
}

func built(control *net.UnixConn) error {
	buf := make([]byte, 4096)
	n, err := control.Read(buf)
	if err != nil || n == 0 {
		return fmt.Errorf("the stage ended before it had built: %w", err)
	}
	if word := string(buf[:n]); word != stage.Built {
		return errors.New("stage: " + word)
	}
	return nil
}

// letGo lets the stage become init; the socket ends with the exec.
func letGo(control *net.UnixConn) error {
	if _, err := control.Write([]byte(stage.Go)); err != nil {
		return fmt.Errorf("let the stage go: %w", err)
	}
	buf := make([]byte, 4096)
	if n, _ := control.Read(buf); n > 0 {
		return errors.New("stage: " + string(buf[:n]))
	}
	return nil
}

// idmap makes a detached mount show its files' owners through a user namespace.
func idmap(mount int, users *os.File, attrs uint64) error {
	err := unix.MountSetattr(mount, "", unix.AT_EMPTY_PATH, &unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | attrs,
		Propagation: unix.MS_PRIVATE, Userns_fd: uint64(users.Fd()),
	})
	if err != nil {
		return fmt.Errorf("idmap: %w", err)
	}
	return nil
}

func (d *Driver) plan(r record) stage.Plan {
	s := r.Spec
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost\n"
	a, err := d.Network.Addr(s.Segment, s.Slot)
	if err == nil {
		hosts += fmt.Sprintf("%s\t%s\n%s\t%[2]s\n", a.V4, s.Hostname, a.V6)
	}
	l := withDefaults(s.Limits) // those of an older site are not all there
	return stage.Plan{
		Hostname: s.Hostname, Hosts: hosts, Resolv: resolvConf(a.Resolver), Tmp: l.Tmp, Files: uint64(l.Files),
		Watches: l.Watches, Terminals: l.Terminals, Filters: d.filters, Off: d.Weaken,
	}
}

// pending is a mount being made beside everything else.
type pending struct {
	done  chan struct{}
	mount int
	err   error
}

func (d *Driver) attachLater(ctx context.Context, r record) *pending {
	p := &pending{done: make(chan struct{}), mount: -1}
	go func() {
		defer close(p.done)
		if p.err = d.step(ctx, "attach image"); p.err == nil {
			p.mount, p.err = attachImage(ctx, d.image(r.Spec.ID), d.Instance+":"+r.Spec.ID, r.Spec.Limits.Disk)
		}
	}()
	return p
}

func (p *pending) wait() (int, error) { <-p.done; return p.mount, p.err }

// discard lets go of our hold on the mount; the box has its own by then, or nobody has and it vanishes.
func (p *pending) discard() {
	if m, err := p.wait(); err == nil {
		_ = unix.Close(m)
	}
}

// plugLater attaches the network beside everything else, and returns how to wait for it.
func (d *Driver) plugLater(ctx context.Context, r record, b *box, wanted bool) func() error {
	if !wanted {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- d.plug(ctx, r, b) }()
	return func() error { return <-done }
}

func (d *Driver) plug(ctx context.Context, r record, b *box) error {
	if d.weak(stage.NetSpace) {
		return nil // the host's own
	}
	if err := d.step(ctx, "attach network"); err != nil {
		return err
	}
	ns, err := b.namespace("net")
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	if err := d.limitConnections(r, r.Spec.Limits); err != nil {
		return err
	}
	if err := d.Network.Attach(ctx, r.Spec.ID, r.Spec.Segment, r.Spec.Slot, ns); err != nil {
		return fmt.Errorf("attach network: %w", err)
	}
	return nil
}
