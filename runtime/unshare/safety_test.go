package unshare

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestS1WhatTheHostSeesOfABox reads the rights and namespaces of every process of a site from the host.
func TestS1WhatTheHostSeesOfABox(t *testing.T) {
	r := open(t)
	s := spec(t, 5)
	r.running(t, s)
	b := r.box0(t, s.ID)
	pids := b.group.procs()
	if len(pids) < 3 {
		t.Fatalf("processes %v", pids)
	}
	first := int(r.firstUID(5))
	for _, pid := range pids {
		status := procFile(t, pid, "status")
		for key, want := range map[string]string{"CapBnd": "00000000000404fb", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1"} {
			if got := statusField(status, key); got != want {
				t.Errorf("%d: %s is %s, want %s", pid, key, got, want)
			}
		}
		for _, uid := range strings.Fields(statusField(status, "Uid")) {
			if n, _ := strconv.Atoi(uid); n < first || n >= first+idsPerSite {
				t.Errorf("%d runs as %s", pid, uid)
			}
		}
		if m := strings.Fields(procFile(t, pid, "uid_map")); strings.Join(m, " ") != fmt.Sprintf("0 %d 65536", first) {
			t.Errorf("%d: uid_map %v", pid, m)
		}
		for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
			host, _ := os.Readlink("/proc/self/ns/" + kind)
			if inside, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)); err != nil || inside == host {
				t.Errorf("%d shares %s with the host (%v)", pid, kind, err)
			}
		}
	}
	for line := range strings.Lines(procFile(t, b.state.PID, "mountinfo")) {
		f := strings.Fields(line)
		nodes := strings.Contains(line, " - devtmpfs ") || strings.Contains(line, " - devpts ") // single nodes, and terminals
		if !strings.Contains(f[5], "nosuid") || !nodes && !strings.Contains(f[5], "nodev") || nodes && f[3] == "/" && f[4] != "/dev/pts" {
			t.Errorf("mount %s", line)
		}
		if strings.Contains(line, r.Data) || strings.Contains(line, "master:") || strings.Contains(line, "shared:") {
			t.Errorf("mount %s", line)
		}
	}
	if paths := statusField(procFile(t, b.state.PID, "status"), "NSpid"); !strings.HasSuffix(paths, "\t1") {
		t.Errorf("init is %s", paths)
	}
}

// TestS3NoDescriptorOfOursGetsIn looks at what a program is born with.
func TestS3NoDescriptorOfOursGetsIn(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	r.running(t, s)
	for _, root := range []bool{false, true} {
		if out := r.sh(t, s.ID, "exec ls /proc/self/fd | tr '\\n' ' '", root); out != "0 1 2 3 " { // the last is the folder itself
			t.Errorf("a program has %q", out)
		}
	}
	for _, pid := range r.box0(t, s.ID).group.procs() {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil || pid == r.box0(t, s.ID).state.PID {
			continue
		}
		for _, fd := range fds {
			to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
			if strings.Contains(to, "petitpont") || strings.Contains(to, "cgroup") || strings.Contains(to, "tasks") {
				t.Errorf("%d has %s", pid, to)
			}
		}
	}
	if out := r.sh(t, s.ID, "env | cut -d= -f1 | sort | tr '\\n' ' '", false); out != "HOME LANG LOGNAME PATH PWD SHELL USER " {
		t.Errorf("it knows %q", out)
	}
}

// TestS4MountPointsTheTenantReplaced writes into a site's disk what a hostile root could have left there.
func TestS4MountPointsTheTenantReplaced(t *testing.T) {
	r := open(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.Mkdir(victim, 0o777); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]func(path string) error{
		"symlink out":   func(p string) error { return os.Symlink(victim, p) },
		"symlink root":  func(p string) error { return os.Symlink("/", p) },
		"symlink magic": func(p string) error { return os.Symlink("/proc/1/root", p) },
		"fifo":          func(p string) error { return unix.Mkfifo(p, 0o666) },
		"file":          func(p string) error { return os.WriteFile(p, []byte("x"), 0o666) },
		"directory":     func(p string) error { return os.MkdirAll(filepath.Join(p, "null"), 0o777) },
	}
	slot := 0
	for _, name := range []string{"dev", "proc", "sys", "tmp", "run", "etc/resolv.conf", "etc/hosts"} {
		for kind, put := range kinds {
			slot++
			t.Run(name+" is a "+kind, func(t *testing.T) {
				s := r.create(t, spec(t, slot))
				defer r.destroy(t, s.ID)
				r.plant(t, s.ID, name, put)
				r.start(t, s.ID)
				script := `stat -c '%F %t:%T' /dev/null; stat -fc %T /proc /sys /tmp /run; for d in dev proc sys tmp run; do test -L /$d && echo link; done; echo end`
				if out := r.sh(t, s.ID, script, true); out != "character special file 1:3\nproc\nsysfs\ntmpfs\ntmpfs\nend\n" {
					t.Errorf("inside: %s", out)
				}
				if left, err := os.ReadDir(victim); err != nil || len(left) > 0 {
					t.Errorf("the host's folder now holds %v, %v", left, err)
				}
			})
		}
	}
}

// plant puts something into the upper layer of a sleeping site.
func (r *rig) plant(t *testing.T, id, name string, put func(string) error) {
	t.Helper()
	m, err := attachImage(t.Context(), r.image(id), "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(m) }()
	upper := fmt.Sprintf("/proc/self/fd/%d/upper", m)
	if err := os.MkdirAll(filepath.Join(upper, filepath.Dir(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := put(filepath.Join(upper, name)); err != nil {
		t.Fatal(err)
	}
}

// TestS9WhatTheKernelRefuses runs the probe as the box's root and as the site's user.
func TestS9WhatTheKernelRefuses(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "probe")
	build("gcc", "-static", "-O1", "-Wall", "-o", probe, "testdata/probe.c")
	r := open(t)
	s := spec(t, 1)
	r.running(t, s)
	for _, who := range []user{{0, 0}, site} {
		if out := r.runProgram(t, s.ID, who, probe); out != "done\n" {
			t.Errorf("as %d this was not refused:\n%s", who.uid, out)
		}
	}
}

// runProgram runs a program of the host's in the box, as a descriptor.
func (r *rig) runProgram(t *testing.T, id string, who user, path string) string {
	t.Helper()
	program1, err := sealed(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program1.Close() }()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.box0(t, id).exec(program{flags: execProgram, user: who, dir: "/", argv: []string{"probe"}, files: []*os.File{in, in, in, program1}})
	_ = in.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	all, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func procFile(t *testing.T, pid int, name string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func statusField(status, key string) string {
	for line := range strings.Lines(status) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// TestTheOwnersToolsRun installs and removes a package, packs, and asks what runs: the list of system calls must let all
// that through that an owner does in a shell.
func TestTheOwnersToolsRun(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	r.running(t, s)
	script := `set -e; cd /root; mkdir -p p/DEBIAN p/usr/bin
printf 'Package: petit\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: x\n' > p/DEBIAN/control
printf '#!/bin/sh\necho built\n' > p/usr/bin/petit; chmod 755 p/usr/bin/petit
dpkg-deb -b p petit.deb >/dev/null; apt-get install -y -qq ./petit.deb >/dev/null 2>&1 || { apt-get install -y ./petit.deb; false; }
petit; dpkg -r petit >/dev/null; hash -r; command -v petit || echo removed
tar -cf - -C / etc | tar -tf - | wc -l | grep -q ... && echo packed
su -s /bin/sh site -c 'mkfifo /tmp/f && (echo through > /tmp/f &) ; cat /tmp/f'`
	if out := r.sh(t, s.ID, script, true); out != "built\nremoved\npacked\nthrough\n" {
		t.Errorf("it said %s", out)
	}
}

// TestS6WhatATenantReplacedIsNotRun puts the tenant's own things in the place of whatever a program of ours could use
// on its way: the loader's list, name services, shells, and the interpreter that would be us again.
func TestS6WhatATenantReplacedIsNotRun(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	addr := r.running(t, s)
	r.sh(t, s.ID, `printf '#!/proc/self/exe\n' > /evil && chmod 755 /evil
for p in tar gzip cat ls rsync; do ln -sf /evil /usr/bin/$p; done
printf 'passwd: evil\n' > /etc/nsswitch.conf
echo 'site:x:0:0::/:/evil' > /etc/passwd
mkdir -p /lib/x86_64-linux-gnu && echo not a library > /evil.so && echo /evil.so > /etc/ld.so.preload
mv /usr/bin/dash /usr/bin/dash.old && cp /evil /usr/bin/dash`, true)
	conn, err := r.Files(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client, err := sftp.NewClientPipe(conn, conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Stat("/www"); err != nil {
		t.Error("the file session does not work any more:", err)
	}
	_ = client.Close()
	for _, pid := range r.box0(t, s.ID).group.procs() { // nobody became root of the host, or somebody else's
		for _, uid := range strings.Fields(statusField(procFile(t, pid, "status"), "Uid")) {
			if n, _ := strconv.Atoi(uid); n < int(r.firstUID(1)) || n >= int(r.firstUID(1))+idsPerSite {
				t.Errorf("%d runs as %s", pid, uid)
			}
		}
	}
	answers(t, addr)
}
