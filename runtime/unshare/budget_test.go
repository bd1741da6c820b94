package unshare

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pkg/sftp"

	"petitpont/runtime"
)

// S16: memory runs out inside, for the program that took it; init and the site's servers go on.
func TestS16MemoryRunsOutInsideOnly(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Limits.Memory = 96 << 20
	addr := r.running(t, s)
	r.sh(t, s.ID, "head -c 300M /dev/zero | tail -n 1 > /dev/null", false)
	if r.box0(t, s.ID).group.oomKills() == 0 {
		t.Error("nothing was killed")
	}
	answers(t, addr)
	if r.status(t, s.ID) != runtime.Running {
		t.Error("the site is gone")
	}
}

// S16: what waits in the buffers of connections is memory too, and the host has one store of it for everybody.
func TestS16SocketsCannotHoldMoreThanMemory(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	s.Limits.Memory = 96 << 20
	r.running(t, s)
	out := r.sh(t, s.ID, `python3 -c '
import socket
door, held, queued = socket.create_server(("127.0.0.1", 0), backlog=256), [], 0
for _ in range(128):
    out = socket.create_connection(door.getsockname())
    held += [out, door.accept()[0]]
    for s in held[-2:]:
        s.setblocking(False)
        try:
            while queued < 1 << 30: queued += s.send(bytes(1 << 20))
        except BlockingIOError: pass
print(queued)
' || echo 0`, false) // killed for its memory: nothing is held either
	if queued, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64); err != nil || queued > s.Limits.Memory {
		t.Errorf("%q bytes wait in connections of a site of %d", out, s.Limits.Memory)
	}
}

// S15: a fork bomb meets the limit of processes, and a stop ends it, also while a Files session must survive.
func TestS15AForkBombIsStopped(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	r.running(t, s)
	conn, err := r.Files(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	client, err := sftp.NewClientPipe(conn, conn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(); _ = conn.Close() }()
	p, err := r.Exec(t.Context(), s.ID, runtime.Cmd{Argv: []string{"sh", "-c", "trap '' TERM HUP; while :; do sleep 1000 & done"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	until(t, "the bomb fills its limit", func() bool {
		u, err := r.Usage(t.Context(), s.ID)
		return err == nil && u.Procs >= s.Limits.Procs-4
	})
	r.stop(t, s.ID)
	if left := len(r.box0(t, s.ID).group.procs()); left != 2 {
		t.Errorf("%d processes are left, want init and the session", left)
	}
	if _, err := client.Stat("/www"); err != nil {
		t.Error("the session ended:", err)
	}
}

// S21: what services print lands in a ring of 4 KiB, whatever its size.
func TestS21OutputIsARing(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	r.running(t, s)
	r.sh(t, s.ID, `mv /usr/sbin/nginx /usr/sbin/nginx.real; printf '#!/bin/sh\nhead -c 3000000 /dev/zero | tr "\\0" x; echo end of it; exec nginx.real "$@"\n' > /usr/sbin/nginx; chmod 755 /usr/sbin/nginx`, true)
	r.stop(t, s.ID)
	r.start(t, s.ID)
	b := r.box0(t, s.ID)
	if ring := b.ring(1); !contains(ring, "xxend of it\n") || len(ring) != ringSize {
		t.Errorf("the ring holds %d bytes: %.100q", len(ring), ring)
	}
	if n := len(b.lastLines()); n > ringSize {
		t.Errorf("the last lines are %d bytes", n)
	}
}

// Files of a sleeping site open a box without services, which goes away by itself.
func TestABoxForFilesGoesAway(t *testing.T) {
	r := open(t)
	r.Linger = 1
	before := r.count(t)
	s := r.create(t, spec(t, 1))
	conn, err := r.Files(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.count(t); c.Boxes != 1 || c.Links != before.Links {
		t.Errorf("a box for files has %+v", c)
	}
	if got := r.status(t, s.ID); got != runtime.Stopped {
		t.Errorf("it is %v", got)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	before.Sites = 1
	until(t, "the box goes", func() bool { return r.count(t) == before })
}

// A session's end is seen on both sides.
func TestASessionEndsWithItsConnection(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	r.running(t, s)
	b := r.box0(t, s.ID)
	alone := len(b.group.procs())
	conn, err := r.Files(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the server runs", func() bool { return len(b.group.procs()) > alone })
	_ = conn.Close()
	until(t, "the server ends", func() bool { return len(b.group.procs()) == alone })
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Error("a closed session reads")
	}
}

// Every site may fill its own ceiling of inotify instances; the host's, which all of them count against, stays open.
func TestSitesCannotUseUpTheHostsWatchers(t *testing.T) {
	r := open(t)
	const sites, each = 4, 64 // together more than the 128 a host has by default
	for slot := range sites {
		s := spec(t, slot)
		r.running(t, s)
		out := r.sh(t, s.ID, `python3 -c '
import ctypes, os, time
libc = ctypes.CDLL(None)
n = 0
while libc.inotify_init() >= 0: n += 1
print(n)
if os.fork() == 0:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3): os.dup2(null, fd)
    time.sleep(1000)
'`, false)
		if n, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || n < each/2 || n > each {
			t.Fatalf("site %d made %q inotify instances, want its own %d or a few less", slot, out, each)
		}
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatalf("the host has none left: %v", err)
	}
	_ = unix.Close(fd)
}

// More terminals than a host has by default, in one site: the next one still gets its own.
func TestASiteCannotUseUpTheTerminalsOfAll(t *testing.T) {
	r := open(t)
	greedy, other := spec(t, 1), spec(t, 2)
	greedy.Limits.Terminals, greedy.Limits.Memory = 3500, 512<<20
	for _, s := range []runtime.Spec{greedy, other} {
		r.running(t, s)
	}
	out := r.sh(t, greedy.ID, `python3 -c '
import os, time
n = 0
try:
    while True: os.openpty(); n += 1
except OSError: print(n, flush=True)
if os.fork() == 0:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3): os.dup2(null, fd)
    time.sleep(1000)
'`, true)
	if strings.TrimSpace(out) != "3500" {
		t.Fatalf("it opened %q, want all of its 3500", out)
	}
	if out := r.sh(t, other.ID, `python3 -c 'import os; os.openpty(); print("mine")'`, false); out != "mine\n" {
		t.Errorf("its neighbour opens none: %s", out)
	}
}

// A kernel that gives huge pages unasked would have hundreds of small sites pay for memory that they do not use.
func TestSitesAreGivenSmallPages(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	r.running(t, s)
	for _, pid := range r.box0(t, s.ID).group.procs() {
		if got := statusField(procFile(t, pid, "status"), "THP_enabled"); got != "0" {
			t.Errorf("%d says %q", pid, got)
		}
	}
}
