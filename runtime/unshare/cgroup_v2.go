package unshare

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"petitpont/runtime"
)

// v2 is a host with one tree. Ours stands beside the service's own, so that sites outlive it (RULE APART).
type v2 struct{ top cgroupDir }

const v2Controllers = "+memory +cpu +pids"

func openV2(instance string) (hierarchy, error) {
	h := v2{cgroupDir(filepath.Join(cgroupRoot, instance))}
	if err := h.top.mkdir(); err != nil {
		return nil, err
	}
	for _, d := range []cgroupDir{cgroupRoot, h.top} {
		if err := d.write("cgroup.subtree_control", v2Controllers); err != nil {
			return nil, err
		}
		_ = d.write("cgroup.subtree_control", "+io") // not every kernel has it
	}
	return h, nil
}

func (h v2) open(id string) group {
	all := cgroupDir(filepath.Join(string(h.top), id))
	return v2Group{all: all, keep: all + "/keep", run: all + "/run"}
}

func (h v2) make(id string, l runtime.Limits) (group, error) {
	g := h.open(id).(v2Group)
	for _, d := range []cgroupDir{g.all, g.keep, g.run} {
		if err := d.mkdir(); err != nil {
			return nil, errors.Join(err, g.remove())
		}
	}
	if err := g.limit(l); err != nil {
		return nil, errors.Join(err, g.remove())
	}
	return g, nil
}

func (h v2) list() ([]string, error) { return h.top.children() }

func (h v2) removeAll() error { return h.top.rmdir() }

// v2Group limits in all; processes live in the leaves, as v2 wants it.
type v2Group struct{ all, keep, run cgroupDir }

func (g v2Group) limit(l runtime.Limits) error {
	return errors.Join(
		g.all.write("memory.max", strconv.FormatInt(l.Memory, 10)),
		g.noSwap(),
		g.all.write("cpu.max", fmt.Sprintf("%d %d", l.CPU*cpuPeriod/1000, cpuPeriod)),
		g.all.write("pids.max", strconv.Itoa(l.Procs)))
}

// throttle holds all the group reads and writes, also what the kernel writes back for it later.
func (g v2Group) throttle(device uint64, bytes int64) error {
	return g.all.writeIfThere("io.max", fmt.Sprintf("%s rbps=%d wbps=%d", deviceNumber(device), bytes, bytes))
}

// noSwap keeps a site out of the host's swap, if the host has any.
func (g v2Group) noSwap() error {
	return g.all.writeIfThere("memory.swap.max", "0")
}

func (g v2Group) spawn(start func(*syscall.SysProcAttr) error) error {
	dir, err := os.Open(string(g.keep))
	if err != nil {
		return fmt.Errorf("open cgroup: %w", err)
	}
	defer func() { _ = dir.Close() }()
	return start(&syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())})
}

func (g v2Group) entry() (*os.File, error) {
	return os.OpenFile(filepath.Join(string(g.run), "cgroup.procs"), os.O_WRONLY, 0)
}

func (g v2Group) freeze(on bool) error {
	value := map[bool]string{true: "1", false: "0"}[on]
	if err := g.run.write("cgroup.freeze", value); err != nil {
		return err
	}
	if g.run.field("cgroup.events", "populated") == 0 {
		return nil // nothing to wait for
	}
	return settled("frozen "+value, func() bool { return strconv.FormatInt(g.run.field("cgroup.events", "frozen"), 10) == value })
}

func (g v2Group) frozen() bool { return g.run.read("cgroup.freeze") == "1" }

func (g v2Group) usage() (usage, error) {
	held := g.all.number("memory.current") - g.all.field("memory.stat", "inactive_file")
	return usage{
		memory: max(held, 0), memoryMax: g.all.number("memory.max"),
		procs: int(g.all.number("pids.current")), procsMax: int(g.all.number("pids.max")),
		cpu: time.Duration(g.all.field("cpu.stat", "usage_usec")) * time.Microsecond,
	}, nil
}

func (g v2Group) oomKills() int64 { return g.all.field("memory.events", "oom_kill") }

func (g v2Group) hurry() error { return g.all.write("cpu.max", "max") }

func (g v2Group) swap() int64 {
	if g.all.read("memory.swap.max") == "max" {
		return math.MaxInt64
	}
	return g.all.number("memory.swap.max")
}

func (g v2Group) throttled() int64 { return g.all.field("cpu.stat", "nr_throttled") }

func (g v2Group) procs() []int { return append(g.keep.procs(), g.run.procs()...) }

func (g v2Group) remove() error {
	return errors.Join(g.run.rmdir(), g.keep.rmdir(), g.all.rmdir())
}

// hasOption looks for one of a list separated by commas.
func hasOption(options, want string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == want {
			return true
		}
	}
	return false
}
