package files_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOpenSSHsServerDoesTheSame runs one session against our server and against OpenSSH's own, with the same rights,
// and compares what is on the disk afterwards and which commands failed (S38).
func TestOpenSSHsServerDoesTheSame(t *testing.T) {
	local := filepath.Join(t.TempDir(), "local")
	if err := os.WriteFile(local, []byte(strings.Repeat("text ", 9999)), 0o754); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(local, time.Unix(1_500_000_000, 0), time.Unix(1_500_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	session := []string{
		"put LOCAL a", "put -p LOCAL b", "mkdir d", "mkdir d", "put LOCAL d/c", "put LOCAL d", "put LOCAL nowhere/c",
		"rename a d/a", "rename a x", "rename b d/c", "rename -l d/a d/c", "rename d d/e", "rename -l d/c new",
		"ln new hard", "ln new hard", "ln nothing hard2", "ln -s new soft", "ln -s new soft", "ln -s ../up up", "ln -s /abs abs", "ln -s loop loop",
		"put LOCAL soft", "put LOCAL loop", "put LOCAL up", "get loop OUT", "get soft OUT", "get d OUT", "get fifo OUT",
		"chmod 600 new", "chmod 4711 hard", "chmod 755 nothing", "chmod 700 d", "chown 0 new", "chown 1000 new", "chgrp 0 new",
		"rm d", "rm nothing", "rm loop", "rmdir d", "rmdir new", "mkdir e", "rmdir e", "mkdir nothing/e",
		"put LOCAL \"sp ace\"", "put LOCAL 'quo\"te'", "put LOCAL " + strings.Repeat("n", 255), "put LOCAL " + strings.Repeat("n", 256),
		"ls nothing", "ls -la d", "ls soft", "cd nothing", "cd new", "cd d", "put LOCAL in-d", "cd ..", "cd soft", "reput LOCAL new", "symlink d dd",
		"cd dd", "put LOCAL by-link", "cd ..", "ls dd", "rmdir dd", "rm dd", "put -p LOCAL ro", "chmod 444 ro", "put LOCAL ro", "chmod 500 d", "ls d", "put LOCAL d/z",
	}
	ours, oursFailed := play(t, session, local, func(b box) string { return "/usr/sbin/chroot " + b.root + " /bin/files" })
	theirs, theirsFailed := play(t, session, local, sftpServer)
	if ours != theirs {
		t.Errorf("ours left:\n%s\nOpenSSH's left:\n%s", ours, theirs)
	}
	for i := range session {
		if oursFailed[i] != theirsFailed[i] {
			t.Errorf("%q: ours failed %v, OpenSSH's %v", session[i], oursFailed[i], theirsFailed[i])
		}
	}
}

// sftpServer is the command that serves the site's folder by OpenSSH's server. It wants a name for whom it runs as, and
// this host may have none for that number: it is shown one.
func sftpServer(b box) string {
	script, passwd := filepath.Join(b.t.TempDir(), "serve"), filepath.Join(b.t.TempDir(), "passwd")
	b.must(os.WriteFile(passwd, []byte("root:x:0:0::/root:/bin/sh\nsite:x:1000:1000::/:/bin/sh\n"), 0o644),
		os.WriteFile(script, []byte("mount --bind "+passwd+" /etc/passwd && exec setpriv --reuid=1000 --regid=1000 --clear-groups "+
			"--reset-env /usr/lib/openssh/sftp-server -u 022 -d "+b.path("home/site/www")+"\n"), 0o644))
	return "/usr/bin/unshare --mount /bin/sh " + script
}

// play runs each command with a client of its own, since a batch does not say which of its commands failed.
func play(t *testing.T, session []string, local string, server func(box) string) (tree string, failed []bool) {
	t.Helper()
	b := newBox(t)
	b.must(syscall.Mkfifo(b.www("fifo"), 0o666))
	b.own("fifo")
	cwd := "."
	for _, line := range session {
		script := []string{"cd " + cwd, strings.NewReplacer("LOCAL", local, "OUT", filepath.Join(t.TempDir(), "out")).Replace(line)}
		out, err := b.batch(server(b), script)
		failed = append(failed, err != nil)
		if to, ok := strings.CutPrefix(line, "cd "); ok && err == nil {
			cwd = filepath.Join(cwd, to)
		}
		if testing.Verbose() {
			t.Logf("%s: %v %s", line, err, out)
		}
	}
	return listing(t, b.path("home/site"), local), failed
}

// listing is every name with its kind, mode, owner, links, text and size, and whether it kept the time of what was sent.
func listing(t *testing.T, root, local string) string {
	t.Helper()
	sent, err := os.Stat(local)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		text, _ := os.Readlink(path)
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&out, "%v %d:%d %d %.20q %s\n", info.Mode(), st.Uid, st.Gid, st.Nlink, name, text)
		if info.Mode().IsRegular() {
			body, err := os.ReadFile(path)
			fmt.Fprintf(&out, "\t%d bytes, time kept %v\n", len(body), info.ModTime().Unix() == sent.ModTime().Unix())
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
