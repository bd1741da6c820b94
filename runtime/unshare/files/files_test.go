package files_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEveryThreadIsTheSitesOwnUserInItsHome(t *testing.T) {
	b := newBox(t)
	client, cmd := b.serve()
	if _, err := client.ReadDir("."); err != nil {
		t.Fatal(err)
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", cmd.Process.Pid))
	if err != nil || len(threads) < 2 {
		t.Fatal(threads, err)
	}
	for _, thread := range threads {
		if root, err := os.Readlink(thread + "/root"); err != nil || root != b.path("home/site") {
			t.Errorf("%s: root %s %v", thread, root, err)
		}
		status := b.read(thread + "/status")
		for _, want := range []string{
			"Uid:\t1000\t1000\t1000\t1000\n", "Gid:\t1000\t1000\t1000\t1000\n", "Groups:\t \n",
			"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
			"CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Umask:\t0022\n",
		} {
			if !strings.Contains(status, want) {
				t.Errorf("%s: no %q in\n%s", thread, want, status)
			}
		}
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
	b.must(err)
	for _, fd := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", cmd.Process.Pid, fd.Name()))
		if strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "/dev/") && fd.Name() != "2" {
			t.Errorf("descriptor %s is %s", fd.Name(), to)
		}
	}
}

func TestOpenSSHsClientMovesFiles(t *testing.T) {
	b := newBox(t)
	local := filepath.Join(t.TempDir(), "local.php")
	b.must(os.WriteFile(local, bytes.Repeat([]byte("0123456789"), 50_000), 0o751))
	when := time.Date(2020, 2, 2, 2, 2, 2, 0, time.UTC)
	b.must(os.Chtimes(local, when, when))
	back := filepath.Join(t.TempDir(), "back")
	b.must(os.WriteFile(back, []byte("01234"), 0o600))                          // reget goes on after it
	b.must(os.WriteFile(b.www("half"), []byte(b.read(local)[:123_457]), 0o644)) // reput as well
	b.own("half")
	out, err := b.sftp("pwd", "put -p "+local+" kept", "put "+local+" new", "reput "+local+" half", "reget kept "+back,
		"mkdir d", "put "+local+" d/x", "ls -la", "df", "ln d/x hard", "ln -s d/x soft", "chmod 640 soft", "rm new", "rename half d/half",
		"rename kept d/half", "mkdir gone", "rmdir gone", "get d/half "+back+"2")
	if err != nil {
		t.Fatal(err, out)
	}
	for _, want := range []string{
		"Remote working directory: /www", "-rwxr-x--x    1 site     site       500000 Feb 2  2020 kept",
		"drwxr-xr-x    2 site     site         4096", " .\n", " ..\n", "%Capacity",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, name := range []string{b.www("d/x"), b.www("d/half"), b.www("soft"), b.www("hard"), back, back + "2"} {
		if b.read(name) != b.read(local) {
			t.Errorf("%s differs", name)
		}
	}
	info, err := os.Stat(b.www("d/half"))
	b.must(err)
	if st := info.Sys().(*syscall.Stat_t); !info.ModTime().Equal(when) || info.Mode() != 0o751 || st.Uid != 1000 || st.Gid != 1000 {
		t.Errorf("%v %v %d:%d", info.ModTime(), info.Mode(), st.Uid, st.Gid)
	}
	if info, _ := os.Stat(b.www("d/x")); info.Mode() != 0o640 {
		t.Errorf("chmod through a link: %v", info.Mode())
	}
	if text, _ := os.Readlink(b.www("soft")); text != "d/x" {
		t.Errorf("link to %q", text)
	}
	for _, gone := range []string{"new", "gone", "half", "kept"} {
		if _, err := os.Lstat(b.www(gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
}

// TestNothingOutsideTheHomeIsReached tries every way out that a name can be.
func TestNothingOutsideTheHomeIsReached(t *testing.T) {
	b := newBox(t)
	b.must(os.Symlink("/etc/secret", b.www("abs")), os.Symlink("../../../etc/secret", b.www("up")),
		os.Symlink("/", b.www("root")), os.Symlink("/proc/self/root/etc", b.www("proc")), os.Symlink("../../..", b.www("dots")))
	client, _ := b.serve()
	for _, name := range []string{
		"abs", "up", "root/etc/secret", "proc/secret", "dots/etc/secret", "../../../../etc/secret",
		"/etc/secret", "/../etc/secret", "//etc//secret", "/www/../../etc/secret", "/proc/self/root/etc/secret", "/bin/files",
	} {
		if f, err := client.Open(name); err == nil {
			t.Errorf("%s opened", name)
			_ = f.Close()
		}
		if _, err := client.Stat(name); err == nil {
			t.Errorf("%s seen", name)
		}
	}
	if f, err := client.Create("root/planted"); err != nil {
		t.Error(err)
	} else {
		_ = f.Close()
	}
	if _, err := os.Stat(b.path("home/site/planted")); err != nil {
		t.Error("a link to / does not lead to the home: ", err)
	}
	if list, err := client.ReadDir("root"); err != nil || len(list) != 2 {
		t.Error(list, err)
	}
	for name, want := range map[string]string{
		".": "/www", "..": "/", "../..": "/", "root": "/", "root/www": "/www", "dots/www/./x": "/www/x",
		"new": "/www/new", "": "/www", "/": "/", "/www/": "/www",
	} {
		if got, err := client.RealPath(name); err != nil || got != want {
			t.Errorf("realpath %q is %q %v; want %q", name, got, err, want)
		}
	}
	b.must(os.Symlink("loop", b.www("loop")))
	if got, err := client.RealPath("loop"); err == nil {
		t.Errorf("a loop leads to %q", got)
	}
}

// TestNothingButPlainFilesIsOpened has more FIFOs than the server has workers: one that waits would stop the session.
func TestNothingButPlainFilesIsOpened(t *testing.T) {
	b := newBox(t)
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("fifo", i))
		b.must(unix.Mkfifo(b.www(names[i]), 0o666))
	}
	b.must(unix.Mknod(b.www("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))), unix.Mknod(b.www("tty"), unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))))
	b.must(os.Mkdir(b.www("folder"), 0o755), os.Symlink("fifo0", b.www("link")))
	socket, err := net.Listen("unix", b.www("socket"))
	b.must(err)
	t.Cleanup(func() { _ = socket.Close() })
	names = append(names, "null", "tty", "socket", "folder", "link")
	b.own(names...)
	client, _ := b.serve()
	var wg sync.WaitGroup
	for _, name := range names {
		for _, flags := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREATE | os.O_TRUNC, os.O_WRONLY | os.O_APPEND} {
			wg.Go(func() {
				if f, err := client.OpenFile(name, flags); err == nil {
					t.Errorf("%s opened with %#x", name, flags)
					_ = f.Close()
				}
			})
		}
	}
	wg.Wait()
	for _, name := range names { // what needs no opening works with them
		if _, err := client.Lstat(name); err != nil {
			t.Error(err)
		}
		if err := client.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Error(name, err)
		}
	}
	if err := client.Truncate("fifo1", 0); err == nil {
		t.Error("a FIFO was truncated")
	}
	if err := client.Remove("fifo0"); err != nil {
		t.Error(err)
	}
}

func TestNamesOfEveryKindSurvive(t *testing.T) {
	b := newBox(t)
	client, _ := b.serve()
	names := []string{"a b", "été", "-rf", "new\nline", `quo"te'`, "*?[x]", "back\\slash", "\xff\xfe", "...", strings.Repeat("n", 255), "日本", "~", "#x", "a:b"}
	for _, name := range names {
		f, err := client.Create("/www/" + name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		_, err = f.Write([]byte(name))
		b.must(err, f.Close())
		if b.read(b.www(name)) != name {
			t.Errorf("%q holds something else", name)
		}
	}
	list, err := client.ReadDir("/www")
	b.must(err)
	var got []string
	for _, info := range list {
		got = append(got, info.Name())
	}
	slices.Sort(names)
	slices.Sort(got)
	if !slices.Equal(got, names) {
		t.Errorf("%q\n%q", got, names)
	}
	for _, bad := range []string{"nul\x00byte", strings.Repeat("n", 256), "/www/a b/x"} {
		if _, err := client.Create(bad); err == nil {
			t.Errorf("%q was made", bad)
		}
	}
	deep := strings.Repeat("/d", 120)
	if err := client.MkdirAll("/www" + deep); err != nil {
		t.Fatal(err)
	}
	if got, err := client.RealPath("/www" + deep + "/../x"); err != nil || got != "/www"+strings.Repeat("/d", 119)+"/x" {
		t.Error(got, err)
	}
}

func TestALargeFolderIsListedWhole(t *testing.T) {
	b := newBox(t)
	for i := range 3017 {
		b.must(os.WriteFile(b.www(fmt.Sprint("f", i)), nil, 0o644))
	}
	client, _ := b.serve()
	if list, err := client.ReadDir("."); err != nil || len(list) != 3017 {
		t.Fatal(len(list), err)
	}
}

func TestAttributes(t *testing.T) {
	b := newBox(t)
	b.must(os.WriteFile(b.www("f"), []byte("0123456789"), 0o640))
	b.own("f")
	client, _ := b.serve()
	mode := func() fs.FileMode {
		info, err := os.Stat(b.www("f"))
		b.must(err)
		return info.Mode()
	}
	if err := client.Chmod("f", 0); err != nil || mode() != 0o640 {
		t.Errorf("mode 0: %v, now %v", err, mode())
	}
	if err := client.Chmod("f", 0o400); err != nil || mode() != 0o400 {
		t.Errorf("mode 400: %v, now %v", err, mode())
	}
	if err := client.Chmod("f", 0o644); err != nil {
		t.Error("its own file, not readable: ", err)
	}
	if err := client.Chown("f", 0, 0); err == nil {
		t.Error("given to root")
	}
	if err := client.Chown("f", 1000, 1000); err != nil {
		t.Error("left with its owner: ", err)
	}
	if err := client.Truncate("f", 4); err != nil || b.read(b.www("f")) != "0123" {
		t.Error(err)
	}
	when := time.Unix(1_600_000_000, 0)
	if err := client.Chtimes("f", when, when); err != nil {
		t.Error(err)
	}
	if info, _ := client.Stat("f"); !info.ModTime().Equal(when) {
		t.Error(info.ModTime())
	}
	if err := client.Chmod("nothing", 0o644); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestRenameKeepsWhatIsThere(t *testing.T) {
	b := newBox(t)
	b.must(os.WriteFile(b.www("a"), []byte("a"), 0o644), os.WriteFile(b.www("b"), []byte("b"), 0o644), os.Mkdir(b.www("d"), 0o755))
	b.own("a", "b", "d")
	client, _ := b.serve()
	for _, to := range []string{"b", "d", "a", "d/x/y"} {
		if err := client.Rename("a", to); err == nil {
			t.Errorf("renamed onto %s", to)
		}
	}
	if b.read(b.www("b")) != "b" || b.read(b.www("a")) != "a" {
		t.Fatal("something changed")
	}
	if err := client.Rename("d", "d/inside"); err == nil {
		t.Error("a folder went into itself")
	}
	if err := client.PosixRename("a", "b"); err != nil || b.read(b.www("b")) != "a" {
		t.Error(err)
	}
	if err := client.Link("b", "hard"); err != nil {
		t.Error(err)
	}
	if err := client.Link("b", "hard"); err == nil {
		t.Error("linked over a file")
	}
	if err := client.Mkdir("d"); err == nil {
		t.Error("made a folder twice")
	}
	if err := client.RemoveDirectory("b"); err == nil {
		t.Error("rmdir of a file")
	}
}

func TestFlags(t *testing.T) {
	b := newBox(t)
	client, _ := b.serve()
	write := func(flags int, text string) error {
		f, err := client.OpenFile("f", flags)
		if err != nil {
			return err
		}
		_, err = f.Write([]byte(text))
		b.must(f.Close())
		return err
	}
	if err := write(os.O_WRONLY, "x"); !os.IsNotExist(err) {
		t.Error("without create: ", err)
	}
	b.must(write(os.O_WRONLY|os.O_CREATE|os.O_EXCL, "one"))
	if err := write(os.O_WRONLY|os.O_CREATE|os.O_EXCL, "two"); err == nil {
		t.Error("exclusive, twice")
	}
	b.must(write(os.O_WRONLY|os.O_APPEND, "+two"), write(os.O_WRONLY, "O"))
	if got := b.read(b.www("f")); got != "One+two" {
		t.Errorf("%q", got)
	}
	b.must(write(os.O_WRONLY|os.O_TRUNC, "3"))
	if got := b.read(b.www("f")); got != "3" {
		t.Errorf("%q", got)
	}
	f, err := client.OpenFile("f", os.O_RDWR)
	b.must(err)
	_, err = f.WriteAt([]byte("end"), 10)
	b.must(err)
	got, err := io.ReadAll(f)
	if err != nil || string(got) != "3\x00\x00\x00\x00\x00\x00\x00\x00\x00end" {
		t.Errorf("%q %v", got, err)
	}
	b.must(f.Close())
}

// TestAHandleFollowsItsFile because pkg/sftp asks about the path that a handle was opened with.
func TestAHandleFollowsItsFile(t *testing.T) {
	b := newBox(t)
	client, _ := b.serve()
	f, err := client.Create("upload.part")
	b.must(err)
	_, err = f.Write([]byte("text"))
	b.must(err, client.Rename("upload.part", "upload"))
	if info, err := f.Stat(); err != nil || info.Size() != 4 {
		t.Error("stat: ", err)
	}
	if err := f.Chmod(0o600); err != nil {
		t.Error("chmod: ", err)
	}
	if err := f.Truncate(2); err != nil {
		t.Error("truncate: ", err)
	}
	b.must(f.Close())
	if info, err := os.Stat(b.www("upload")); err != nil || info.Mode() != 0o600 || info.Size() != 2 {
		t.Error(info, err)
	}
	if _, err := client.Stat("upload.part"); !os.IsNotExist(err) {
		t.Error("a closed handle still answers: ", err)
	}
}

func TestAFullDiskIsSaidInWords(t *testing.T) {
	b := newBox(t)
	mount := fmt.Sprintf("mount -t tmpfs -o size=1m,uid=1000,gid=1000,nr_inodes=64 none %s && exec \"$@\"", b.path("home/site"))
	client, _ := b.serve("unshare", "--mount", "sh", "-c", mount, "sh")
	if got, err := client.RealPath("."); err != nil || got != "/" {
		t.Errorf("without www it begins at %q %v", got, err)
	}
	if s, err := client.StatVFS("/"); err != nil || s.TotalSpace() != 1<<20 || s.Files != 64 {
		t.Errorf("%+v %v", s, err)
	}
	f, err := client.Create("big")
	b.must(err)
	_, err = f.Write(make([]byte, 2<<20))
	if err == nil || !strings.Contains(err.Error(), "the site's disk is full") {
		t.Error(err)
	}
	b.must(f.Close())
	if err := client.Mkdir("d"); err == nil {
		t.Log("a folder still fits")
	}
	if err := client.Remove("big"); err != nil {
		t.Error("a full disk cannot be cleared: ", err)
	}
}

func TestTheServerEndsWithItsClient(t *testing.T) {
	b := newBox(t)
	client, cmd := b.serve()
	f, err := client.Create("half")
	b.must(err)
	_, err = f.Write([]byte("kept"))
	b.must(err, client.Close())
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if b.read(b.www("half")) != "kept" {
		t.Error("an unfinished upload is lost, and cannot be resumed")
	}
}

func TestNothingIsServedWithoutRights(t *testing.T) {
	b := newBox(t)
	b.must(os.RemoveAll(b.path("home/site")))
	if out, err := b.sftp("ls"); err == nil || !strings.Contains(out, "chroot /home/site") {
		t.Error(out, err)
	}
	b = newBox(t)
	out, err := b.batch("/usr/sbin/chroot --userspec=1001:1001 "+b.root+" /bin/files", []string{"ls"})
	if err == nil || !strings.Contains(out, "operation not permitted") {
		t.Error(out, err)
	}
}
