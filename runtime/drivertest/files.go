package drivertest

import (
	"io"
	"path"
	"testing"

	"github.com/pkg/sftp"

	"petitpont/runtime"
)

// What SFTP into a container promises (RULE NS).
var files = []Sentence{
	{"files of a stopped one without waking it", func(t *testing.T, r *Run) {
		s := r.create()
		if c := r.sftp(s.ID); c != nil {
			r.put(c, "/www/hello.txt", "written while stopped\n")
			r.read(c, "/www/hello.txt", "written while stopped\n")
			r.status(s.ID, runtime.Stopped)
			if _, err := c.Stat("/www"); err != nil {
				t.Errorf("the home has no www: %v", err)
			}
		}
	}},
	{"a session stands in www and sees the home as root", func(t *testing.T, r *Run) {
		s := r.create()
		c := r.sftp(s.ID)
		if c == nil {
			return
		}
		wd, err := c.Getwd()
		r.ok("realpath .", err)
		if wd != "/www" {
			t.Errorf("it stands in %q, want /www", wd)
		}
		up, err := c.RealPath("/../..")
		r.ok("realpath /../..", err)
		if up != "/" {
			t.Errorf("above the root is %q", up)
		}
		if _, err := c.Stat("/etc/passwd"); err == nil {
			t.Error("it sees /etc/passwd")
		}
	}},
	{"written by SFTP and seen on the web after start", func(t *testing.T, r *Run) {
		s := r.create()
		c := r.sftp(s.ID)
		if c == nil {
			return
		}
		r.put(c, "/www/hello.txt", "from sftp\n")
		if body := r.answers(r.start(s.ID), "/hello.txt"); r.HTTP && body != "from sftp\n" {
			t.Errorf("the web shows %q", body)
		}
	}},
	{"stop then start again keeps files", func(_ *testing.T, r *Run) {
		s := r.create()
		if c := r.sftp(s.ID); c != nil {
			r.put(c, "/www/kept.txt", "kept\n")
			_ = c.Close()
		}
		r.start(s.ID)
		r.stop(s.ID)
		r.start(s.ID)
		if c := r.sftp(s.ID); c != nil {
			r.read(c, "/www/kept.txt", "kept\n")
		}
	}},
	{"a files session survives a start and a stop and ends with destroy", func(t *testing.T, r *Run) {
		s := r.create()
		c := r.sftp(s.ID)
		if c == nil {
			return
		}
		r.put(c, "/www/a", "stopped")
		r.start(s.ID)
		r.put(c, "/www/b", "running")
		r.stop(s.ID)
		r.put(c, "/www/c", "stopped again")
		r.read(c, "/www/b", "running")
		r.ok("destroy", r.Driver.Destroy(r.ctx, s.ID))
		ended := make(chan struct{})
		go func() { _ = c.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-r.ctx.Done():
			t.Error("the session outlived its site")
		}
	}},
	{"a session opened while running survives the stop", func(_ *testing.T, r *Run) {
		s, _ := r.running()
		if c := r.sftp(s.ID); c != nil {
			r.stop(s.ID)
			r.put(c, "/www/late", "after the stop")
			r.read(c, "/www/late", "after the stop")
			r.status(s.ID, runtime.Stopped)
		}
	}},
	{"files of a frozen one answer", func(_ *testing.T, r *Run) {
		s, _ := r.running()
		r.ok("freeze", r.Driver.Freeze(r.ctx, s.ID))
		if c := r.sftp(s.ID); c != nil {
			r.put(c, "/www/ice", "cold")
			r.read(c, "/www/ice", "cold")
		}
		r.status(s.ID, runtime.Frozen)
	}},
	{"two sessions at once see each other's files", func(_ *testing.T, r *Run) {
		s := r.create()
		a, b := r.sftp(s.ID), r.sftp(s.ID)
		if a == nil {
			return
		}
		r.put(a, "/www/x", "by a")
		r.read(b, "/www/x", "by a")
		_ = a.Close()
		r.read(b, "/www/x", "by a")
	}},
	{"mode and time are kept", func(t *testing.T, r *Run) {
		s := r.create()
		c := r.sftp(s.ID)
		if c == nil {
			return
		}
		const name = "/www/old.sh"
		r.put(c, name, "#!/bin/sh\n")
		r.ok("chmod", c.Chmod(name, 0o750))
		r.ok("chtimes", c.Chtimes(name, long, long))
		i, err := c.Stat(name)
		r.ok("stat", err)
		if i.Mode().Perm() != 0o750 || !i.ModTime().Equal(long) {
			t.Errorf("it is %v of %v", i.Mode(), i.ModTime())
		}
	}},
	{"rename, list and remove", func(t *testing.T, r *Run) {
		s := r.create()
		c := r.sftp(s.ID)
		if c == nil {
			return
		}
		r.ok("mkdir", c.Mkdir("/www/d"))
		r.put(c, "/www/d/a", "1")
		r.ok("rename", c.Rename("/www/d/a", "/www/d/b"))
		all, err := c.ReadDir("/www/d")
		r.ok("readdir", err)
		if len(all) != 1 || all[0].Name() != "b" {
			t.Errorf("the folder shows %v", all)
		}
		r.ok("remove", c.Remove("/www/d/b"))
		r.ok("rmdir", c.RemoveDirectory("/www/d"))
		if _, err := c.Stat("/www/d"); err == nil {
			t.Error("the folder is still there")
		}
	}},
}

// sftp opens a session, or nil when the rig has no files.
func (r *Run) sftp(id string) *sftp.Client {
	r.t.Helper()
	if !r.Files {
		return nil
	}
	conn, err := r.Driver.Files(r.ctx, id)
	r.ok("files", err)
	c, err := sftp.NewClientPipe(conn, conn)
	if err != nil {
		_ = conn.Close()
		r.t.Fatalf("sftp handshake: %v", err)
	}
	r.t.Cleanup(func() { _ = c.Close(); _ = conn.Close() })
	return c
}

func (r *Run) put(c *sftp.Client, name, text string) {
	r.t.Helper()
	f, err := c.Create(name)
	r.ok("create "+name, err)
	_, err = io.WriteString(f, text)
	r.ok("write "+name, err)
	r.ok("close "+path.Base(name), f.Close())
}

func (r *Run) read(c *sftp.Client, name, want string) {
	r.t.Helper()
	f, err := c.Open(name)
	r.ok("open "+name, err)
	defer func() { _ = f.Close() }()
	got, err := io.ReadAll(f)
	r.ok("read "+name, err)
	if string(got) != want {
		r.t.Errorf("%s holds %q, want %q", name, got, want)
	}
}
