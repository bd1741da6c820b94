package unshare

import (
	"encoding/json"
	"strings"
	"testing"

	"petitpont/runtime"
)

// greedy takes of everything until the kernel says no, and tells how much it got. It gives all back.
const greedy = `
import ctypes, json, os, signal, sys, time
got, libc = {}, ctypes.CDLL(None, use_errno=True)
def until(error, step):
    n = 0
    try:
        while n < 100000:
            step(n)
            n += 1
    except OSError as e:
        if e.errno not in error: raise
    return n
held = []
got["files"] = until([24], lambda n: held.append(os.open("/dev/null", os.O_RDONLY))) + 3
for fd in held: os.close(fd)
held.clear()
got["terminals"] = until([28, 24], lambda n: held.append(os.openpty()))
for a, b in held: os.close(a); os.close(b)
os.makedirs("/tmp/watched", exist_ok=True)
watcher = libc.inotify_init1(0)
def watch(n):
    name = "/tmp/watched/%d" % n
    open(name, "w").close()
    if libc.inotify_add_watch(watcher, name.encode(), 2) < 0: raise OSError(ctypes.get_errno(), "watch")
got["watches"] = until([28], watch)
os.close(watcher)
for n in os.listdir("/tmp/watched"): os.unlink("/tmp/watched/" + n)
for place in ["/tmp", "/dev/shm"]:
    f = os.open(place + "/full", os.O_CREAT | os.O_WRONLY)
    got[place] = until([28], lambda n: os.write(f, b"x" * 65536)) * 65536
    os.close(f); os.unlink(place + "/full")
children = []
def fork(n):
    pid = os.fork()
    if pid == 0: signal.pause()
    children.append(pid)
got["procs"] = until([11], fork)
for pid in children: os.kill(pid, 9); os.waitpid(pid, 0)
began = time.monotonic()
f = os.open("/home/site/stream", os.O_CREAT | os.O_WRONLY | os.O_DSYNC)
for n in range(8): os.pwrite(f, b"x" * (1 << 20), n << 20)
os.close(f); os.unlink("/home/site/stream")
got["io"] = int((8 << 20) / (time.monotonic() - began))
while time.process_time() < 0.5: pass
print(json.dumps(got))
`

func (r *rig) greed(t *testing.T, id string) map[string]int64 {
	t.Helper()
	out := r.sh(t, id, "python3 -c '"+greedy+"'", false)
	got := map[string]int64{}
	if err := json.Unmarshal([]byte(strings.TrimSpace(out)), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}

// Each limit is the kernel's, and a change holds for what already runs. Only what cannot be: terminals wait for a start.
func TestTheKernelKeepsEachLimitAlsoAChangedOne(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Limits = runtime.Limits{
		Disk: 64 << 20, Inodes: 4096, Memory: 256 << 20, CPU: 500, Procs: 80,
		IO: 8 << 20, Files: 1000, Watches: 400, Terminals: 12, Tmp: 8 << 20,
	}
	r.running(t, s)
	within := func(what string, got, most int64) {
		t.Helper()
		if got > most || got < most/2 {
			t.Errorf("%s: it got %d of %d", what, got, most)
		}
	}
	check := func(l runtime.Limits) {
		t.Helper()
		got := r.greed(t, s.ID)
		t.Logf("%+v", got)
		within("files", got["files"], int64(l.Files))
		within("watches", got["watches"], int64(l.Watches))
		within("terminals", got["terminals"], int64(l.Terminals))
		within("/tmp", got["/tmp"], l.Tmp)
		within("/dev/shm", got["/dev/shm"], l.Tmp)
		within("processes", got["procs"], int64(l.Procs))
		if most := l.IO + l.IO/4; got["io"] > most { // the slice in which the kernel counts
			t.Errorf("the disk takes %d bytes a second, want at most %d", got["io"], l.IO)
		}
	}
	check(s.Limits)
	throttled := func() int64 { return r.box0(t, s.ID).group.throttled() }
	if throttled() == 0 {
		t.Error("half a processor was never refused")
	}
	less := s.Limits
	less.Procs, less.IO, less.Files, less.Watches, less.Tmp, less.Memory, less.CPU = 60, 4<<20, 500, 200, 4<<20, 128<<20, 250
	if err := r.SetLimits(t.Context(), s.ID, less); err != nil {
		t.Fatal(err)
	}
	check(less)
	if u, err := r.Usage(t.Context(), s.ID); err != nil || u.MemoryMax != less.Memory {
		t.Errorf("usage says %+v, %v", u, err)
	}
	more := s.Limits
	more.Terminals = 20
	more.Files = less.Files // more than a process was born with takes a right that not every host has
	if err := r.SetLimits(t.Context(), s.ID, more); err != nil {
		t.Fatal(err)
	}
	r.stop(t, s.ID)
	more.Files = 2000
	if err := r.SetLimits(t.Context(), s.ID, more); err != nil {
		t.Fatal(err)
	}
	addr := r.start(t, s.ID)
	check(more)
	answers(t, addr)
}

// A limit that no site can live with is refused, and what is not said has a default.
func TestLimitsHaveFloorsAndDefaults(t *testing.T) {
	for _, l := range []runtime.Limits{{IO: 1}, {Files: 1}, {Watches: 1}, {Terminals: 1}, {Tmp: 1}} {
		if err := checkLimits(l); err == nil {
			t.Errorf("%+v is taken", l)
		}
	}
	l := withDefaults(runtime.Limits{Memory: 512 << 20})
	if l.Tmp != 128<<20 || l.IO == 0 || l.Files == 0 || l.Watches == 0 || l.Terminals == 0 {
		t.Errorf("%+v", l)
	}
}
