package unshare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"

	"petitpont/runtime"
)

// v1 is a host where every controller has a tree of its own.
type v1 struct {
	instance string
	roots    map[string]string // mount point by controller
}

var v1Controllers = []string{"memory", "cpu", "cpuacct", "pids", "freezer"}

// v1Throttle is taken if it is there.
const v1Throttle = "blkio"

func (h v1) controllers() []string {
	if h.roots[v1Throttle] == "" {
		return v1Controllers
	}
	return append([]string{v1Throttle}, v1Controllers...)
}

func openV1(instance string) (hierarchy, error) {
	h, err := findV1(instance)
	if err != nil {
		return nil, err
	}
	for _, c := range h.controllers() {
		if err := h.dir(c, "").mkdir(); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// findV1 looks where the controllers are mounted, and changes nothing.
func findV1(instance string) (v1, error) {
	h := v1{instance: instance, roots: map[string]string{}}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup"))
	if err != nil {
		return h, fmt.Errorf("read mounts: %w", err)
	}
	for _, m := range mounts {
		for _, c := range append([]string{v1Throttle}, v1Controllers...) {
			if hasOption(m.VFSOptions, c) && m.Root == "/" {
				h.roots[c] = m.Mountpoint
			}
		}
	}
	for _, c := range v1Controllers {
		if h.roots[c] == "" {
			return h, fmt.Errorf("this host has no cgroup controller %s", c)
		}
	}
	return h, nil
}

func (h v1) dir(controller, id string) cgroupDir {
	return cgroupDir(filepath.Join(h.roots[controller], h.instance, id))
}

func (h v1) open(id string) group {
	g := v1Group{}
	for _, c := range h.controllers() {
		if d := h.dir(c, id); !slices.Contains(g.dirs, d) { // cpu and cpuacct are often one tree
			g.dirs = append(g.dirs, d)
		}
	}
	if h.roots[v1Throttle] != "" {
		g.blkio = h.dir(v1Throttle, id)
	}
	g.memory, g.cpu, g.acct, g.pids, g.freezer = h.dir("memory", id), h.dir("cpu", id), h.dir("cpuacct", id), h.dir("pids", id), h.dir("freezer", id)
	g.run = cgroupDir(filepath.Join(string(g.freezer), "run"))
	return g
}

func (h v1) make(id string, l runtime.Limits) (group, error) {
	g := h.open(id).(v1Group)
	for _, d := range append(slices.Clone(g.dirs), g.run) {
		if err := d.mkdir(); err != nil {
			return nil, errors.Join(err, g.remove())
		}
	}
	if err := g.limit(l); err != nil {
		return nil, errors.Join(err, g.remove())
	}
	return g, nil
}

func (h v1) list() ([]string, error) {
	var all []string
	for _, c := range h.controllers() {
		names, err := h.dir(c, "").children()
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (h v1) removeAll() error {
	var errs []error
	for _, c := range h.controllers() {
		errs = append(errs, h.dir(c, "").rmdir())
	}
	return errors.Join(errs...)
}

type v1Group struct {
	dirs                                  []cgroupDir // of all controllers, each once
	memory, cpu, acct, pids, freezer, run cgroupDir
	blkio                                 cgroupDir // empty: the host has none
}

const (
	cpuPeriod = 100_000 // microseconds
	// socketShare is the part of its memory that a site may have once more in the buffers of its sockets: v1 does not
	// count them as memory, and the host has one store of them for everybody (tcp_mem). v2 counts them by itself.
	socketShare = 4
)

func (g v1Group) limit(l runtime.Limits) error {
	quota := l.CPU * cpuPeriod / 1000
	return errors.Join(
		g.limitMemory(strconv.FormatInt(l.Memory, 10)),
		g.memory.writeIfThere("memory.kmem.tcp.limit_in_bytes", strconv.FormatInt(l.Memory/socketShare, 10)),
		g.cpu.write("cpu.cfs_quota_us", strconv.Itoa(quota)),
		g.pids.write("pids.max", strconv.Itoa(l.Procs)))
}

// throttle holds what processes of the group read and write themselves, with fsync too. What the kernel writes back
// later it does for everybody: v1 does not know whose it was.
func (g v1Group) throttle(device uint64, bytes int64) error {
	if g.blkio == "" {
		return nil
	}
	value := fmt.Sprintf("%s %d", deviceNumber(device), bytes)
	return errors.Join(g.blkio.writeIfThere("blkio.throttle.read_bps_device", value),
		g.blkio.writeIfThere("blkio.throttle.write_bps_device", value))
}

// limitMemory sets memory, and memory with swap to the same, so that a site never swaps. The second must not be the
// smaller one at any time, hence twice.
func (g v1Group) limitMemory(bytes string) error {
	const swap = "memory.memsw.limit_in_bytes"
	_ = g.memory.write(swap, bytes)
	err := g.memory.write("memory.limit_in_bytes", bytes)
	if serr := g.memory.write(swap, bytes); !errors.Is(serr, os.ErrNotExist) { // a kernel without swap accounting
		err = errors.Join(err, serr)
	}
	return err
}

// spawn forks from a thread that stands in the group: a thread may move itself without the lock that moving another
// process takes.
func (g v1Group) spawn(start func(*syscall.SysProcAttr) error) (err error) {
	aside(func() {
		for _, d := range g.dirs {
			if err = d.write("tasks", "0"); err != nil {
				return
			}
		}
		err = start(&syscall.SysProcAttr{})
	})
	return err
}

func (g v1Group) entry() (*os.File, error) {
	return os.OpenFile(filepath.Join(string(g.run), "tasks"), os.O_WRONLY, 0)
}

func (g v1Group) freeze(on bool) error {
	state := map[bool]string{true: "FROZEN", false: "THAWED"}[on]
	if err := g.run.write("freezer.state", state); err != nil {
		return err
	}
	return settled(state, func() bool { return g.run.read("freezer.state") == state })
}

func (g v1Group) frozen() bool {
	state := g.run.read("freezer.state")
	return state == "FROZEN" || state == "FREEZING"
}

func (g v1Group) usage() (usage, error) {
	held := g.memory.number("memory.usage_in_bytes") - g.memory.field("memory.stat", "total_inactive_file")
	return usage{
		memory: max(held, 0), memoryMax: g.memory.number("memory.limit_in_bytes"),
		procs: int(g.pids.number("pids.current")), procsMax: int(g.pids.number("pids.max")), cpu: time.Duration(g.acct.number("cpuacct.usage")),
	}, nil
}

func (g v1Group) oomKills() int64 { return g.memory.field("memory.oom_control", "oom_kill") }

func (g v1Group) hurry() error { return g.cpu.write("cpu.cfs_quota_us", "-1") }

func (g v1Group) swap() int64 {
	return max(g.memory.number("memory.memsw.limit_in_bytes")-g.memory.number("memory.limit_in_bytes"), 0)
}

func (g v1Group) throttled() int64 { return g.cpu.field("cpu.stat", "nr_throttled") }

func (g v1Group) procs() []int { return g.pids.procs() }

func (g v1Group) remove() error {
	errs := []error{g.run.rmdir()}
	for _, d := range g.dirs {
		errs = append(errs, d.rmdir())
	}
	return errors.Join(errs...)
}
