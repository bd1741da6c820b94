package unshare

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// box is the namespaces of a site, with our init as PID 1. It belongs to its container's mutex, but for dead.
type box struct {
	id    string
	dir   string // R/boxes/ID
	state state
	pidfd *os.File
	group group
	log   *os.File      // rings of the services' last lines
	dead  chan struct{} // closed when init has ended, and with it everything in the box
	ooms  int64         // of the cgroup, when the services were started

	asked    bool // its end was asked for
	sessions int  // Files sessions
	linger   *time.Timer
}

// state is R/boxes/ID/state.json: what the next process needs to adopt a box.
type state struct {
	PID       int       `json:"pid"`
	Born      uint64    `json:"born"` // start time in clock ticks since boot: with it a PID names one process for good
	Attached  bool      `json:"attached"`
	Running   bool      `json:"running"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	Env       string    `json:"env,omitempty"` // digest of what the services were told
}

func (b *box) running() bool { return b.state.Running }

func (b *box) save() error {
	if err := writeJSON(filepath.Join(b.dir, "state.json"), b.state, false); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// release forgets the box without touching it.
func (b *box) release() {
	if b.linger != nil {
		b.linger.Stop()
	}
	_ = b.pidfd.Close()
	_ = b.log.Close()
}

// alive tells whether init runs, without waiting.
func (b *box) alive() bool {
	select {
	case <-b.dead:
		return false
	default:
		return true
	}
}

// namespace opens a namespace of the box.
func (b *box) namespace(kind string) (*os.File, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", b.state.PID, kind))
	if err != nil {
		return nil, fmt.Errorf("open %s namespace: %w", kind, err)
	}
	if !signalled(b.pidfd, 0) { // else the number could be somebody else's by now
		_ = f.Close()
		return nil, fmt.Errorf("open %s namespace: %w", kind, os.ErrProcessDone)
	}
	return f, nil
}

// signalled sends a signal, or only asks with signal 0.
func signalled(pidfd *os.File, sig unix.Signal) bool {
	return unix.PidfdSendSignal(int(pidfd.Fd()), sig, nil, 0) == nil
}

// watch waits for the end of init, in one goroutine per box and no thread. The runtime need not be its parent.
func (d *Driver) watch(c *container, b *box) {
	d.watchers.Go(func() {
		if !waitPidfd(d.closing, b.pidfd) {
			return
		}
		close(b.dead)
		c.mu.Lock()
		defer d.leave(c)
		if c.box != b {
			return // who asked for the end sweeps
		}
		if b.running() && !b.asked {
			e := runtime.Exit{ID: b.id, At: d.Now(), OOM: b.group.oomKills() > b.ooms, Log: b.lastLines()}
			d.Log.Warn("container ended", "site", b.id, "oom", e.OOM)
			defer d.exits.tell(e)
		}
		if err := d.sweepBox(d.closing, c); err != nil {
			d.Log.Error("leftovers of an ended container", "site", b.id, "error", err)
		}
	})
}

// waitPidfd waits for the process to end, and reaps it if it is ours. False: ctx ended first.
func waitPidfd(ctx context.Context, pidfd *os.File) bool {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return false
	}
	defer context.AfterFunc(ctx, func() { _ = pidfd.SetReadDeadline(time.Unix(1, 0)) })()
	ended := false
	err = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		ended = err == nil && n == 1
		if ended {
			_ = unix.Waitid(unix.P_PIDFD, int(fd), nil, unix.WEXITED|unix.WNOHANG, nil)
		}
		return ended
	})
	return err == nil && ended
}

// kill ends a box: everything in its pid namespace dies with init, then mounts, loop device and interfaces go by
// themselves. It is not broken off by the end of ctx. A frozen one is thawed first, because cgroup v1's freezer holds SIGKILL back.
func (d *Driver) kill(ctx context.Context, c *container) error {
	b := c.box
	b.asked = true
	if b.group.frozen() {
		if err := b.group.freeze(false); err != nil {
			d.Log.Warn("thaw before kill", "site", b.id, "error", err)
		}
	}
	signalled(b.pidfd, unix.SIGKILL)
	if err := b.group.hurry(); err != nil { // what has to die takes processor time for that, and may have none left
		d.Log.Warn("free the processor before kill", "site", b.id, "error", err)
	}
	t := time.NewTimer(10 * time.Second)
	defer t.Stop()
	select {
	case <-b.dead:
	case <-t.C:
		return errors.New("init does not die")
	}
	return d.sweepBox(ctx, c)
}

// sweepBox removes what a dead box leaves: link, cgroup, folder. It waits until the image is free again.
func (d *Driver) sweepBox(ctx context.Context, c *container) error {
	b := c.box
	c.box = nil
	b.release()
	err := errors.Join(d.detach(b.id), b.group.remove(), os.RemoveAll(b.dir))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	image, lockErr := lockImage(ctx, d.image(b.id))
	if lockErr == nil {
		lockErr = image.Close()
	} else if errors.Is(lockErr, os.ErrNotExist) {
		lockErr = nil
	}
	return errors.Join(err, lockErr)
}

func (d *Driver) detach(id string) error {
	if err := d.Network.Detach(id); err != nil {
		return fmt.Errorf("detach %s: %w", id, err)
	}
	return nil
}

// birth is when a process was started, in clock ticks since the host's boot: field 22 of /proc/PID/stat.
func birth(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	f := strings.Fields(after)
	if len(f) < 20 {
		return 0, fmt.Errorf("unknown form of /proc/%d/stat", pid)
	}
	return strconv.ParseUint(f[19], 10, 64)
}

// The rings of the services' output, as petitpont-init writes them: a counter, then the newest ringSize bytes.
const (
	ringSize   = 4096
	ringStride = 8192
	rings      = maxServices
)

// lastLines is the newest output of all services together, at most 4 KiB. It is the tenant's text (RULE TEXT).
func (b *box) lastLines() string {
	var all []string
	for i := range rings {
		if s := b.ring(i); s != "" {
			all = append(all, s)
		}
	}
	share := ringSize / max(len(all), 1)
	for i, s := range all {
		all[i] = s[max(0, len(s)-share):]
	}
	return strings.ToValidUTF8(strings.Join(all, ""), "\uFFFD")
}

func (b *box) ring(i int) string {
	buf := make([]byte, 8+ringSize)
	if _, err := b.log.ReadAt(buf, int64(i)*ringStride); err != nil {
		return ""
	}
	total, data := binary.LittleEndian.Uint64(buf), buf[8:]
	if total <= ringSize {
		return string(data[:total])
	}
	at := total % ringSize
	return string(data[at:]) + string(data[:at])
}

// site is the container's own user, the same in every template.
var site = user{1000, 1000}

func (d *Driver) info(c *container) runtime.Info {
	s := c.record.Spec
	i := runtime.Info{ID: s.ID, Slot: s.Slot, Template: s.Template + "@" + c.record.Version, Status: runtime.Stopped}
	if b := c.box; b != nil && b.running() && b.alive() {
		i.Status, i.StartedAt, i.Waits = runtime.Running, b.state.StartedAt, b.waits(s)
		if b.group.frozen() {
			i.Status = runtime.Frozen
		}
		i.Addr, _ = d.addr(c.record)
	}
	return i
}

// List looks at each container that no call is busy with, and says of the others what the last look showed.
func (d *Driver) List(_ context.Context) ([]runtime.Info, error) {
	var all []runtime.Info
	for _, c := range d.all() {
		if c.record.Trial {
			continue
		}
		if c.mu.TryLock() {
			d.leave(c)
		}
		d.mu.Lock()
		all = append(all, c.seen)
		d.mu.Unlock()
	}
	return all, nil
}
