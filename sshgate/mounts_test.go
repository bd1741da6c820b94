package sshgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"petitpont/views/i18n"
)

func (b *bench) open(user string) *sftp.Client {
	b.t.Helper()
	c, err := sftp.NewClient(b.login(user))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

// says tells whether an SFTP client was told text; pkg/sftp quotes it.
func says(err error, text string) bool {
	return err != nil && strings.Contains(err.Error(), strings.Trim(strconv.Quote(text), `"`))
}

func TestAllSites(t *testing.T) {
	b := newBench(t)
	t.Run("every site is a folder", func(t *testing.T) {
		r := b.sftp("eleve", "pwd\nls -la\ncd blog/www\npwd\nls -la\n").ok(t)
		for _, want := range []string{"working directory: /\n", "drwxr-xr-x", " blog\n", " tp\n", "/blog/www\n", "site     site", "index.php"} {
			if !strings.Contains(r.out, want) {
				t.Errorf("no %q in\n%s", want, r.out)
			}
		}
		if strings.Contains(r.out, "evil") {
			t.Error(r.out)
		}
	})
	t.Run("a tree, modes and times go both ways", func(t *testing.T) {
		b.localTree("tree")
		b.sftp("eleve", "cd tp/www\nput -pR tree\nget -pR tree back\n").ok(t)
		sameTree(t, b.at("tree"), b.sites.path("tp", "www/tree"), true)
		sameTree(t, b.at("tree"), b.at("back"), true)
	})
	t.Run("a new file gets the mode it comes with, an old one keeps its own", func(t *testing.T) {
		os.Chmod(b.local("run.sh", "1"), 0o755)
		b.sites.write("tp", "www/old.sh", "0")
		os.Chmod(b.sites.path("tp", "www/old.sh"), 0o600)
		b.sftp("eleve", "put run.sh tp/www/new.sh\nput run.sh tp/www/old.sh\n").ok(t)
		for name, want := range map[string]os.FileMode{"new.sh": 0o755, "old.sh": 0o600} {
			if info, err := os.Stat(b.sites.path("tp", "www/"+name)); err != nil || info.Mode() != want {
				t.Errorf("%s: %v %v", name, info.Mode(), err)
			}
		}
	})
	t.Run("uploads and downloads go on where they stopped", func(t *testing.T) {
		big := strings.Repeat("0123456789abcdef", 1<<16)
		b.local("big", big)
		b.sites.write("blog", "www/big", big[:300_000])
		b.local("part", big[:123_456])
		b.sftp("eleve", "reput big blog/www/big\nreget blog/www/big part\n").ok(t)
		if b.sites.read("blog", "www/big") != big {
			t.Error("the upload differs")
		}
		if got, _ := os.ReadFile(b.at("part")); string(got) != big {
			t.Error("the download differs")
		}
	})
	t.Run("links keep their text", func(t *testing.T) {
		b.sftp("eleve", "ln -s ../../etc/passwd blog/www/rel\nln -s /etc/passwd blog/www/abs\nln blog/www/index.php blog/www/hard\n").ok(t)
		for name, want := range map[string]string{"rel": "../../etc/passwd", "abs": "/etc/passwd"} {
			if got, err := os.Readlink(b.sites.path("blog", "www/"+name)); got != want {
				t.Errorf("%q, %v", got, err)
			}
			if got, err := b.open("eleve").ReadLink("/blog/www/" + name); got != want {
				t.Errorf("%q, %v", got, err)
			}
		}
		b.sftp("eleve", "get blog/www/abs\n").fails(t, 1, "No such file")
	})
	t.Run("df and rename work in a site", func(t *testing.T) {
		b.sites.write("tp", "www/from", "x")
		b.sftp("eleve", "rename tp/www/from tp/www/to\ndf -h tp\nmkdir tp/www/d\nrmdir tp/www/d\nrm tp/www/to\n").ok(t)
	})
	t.Run("rename across sites is refused with a sentence", func(t *testing.T) {
		err := b.open("eleve").Rename("/blog/www/index.php", "/tp/www/x.php")
		if !says(err, i18n.T(i18n.FR, "gate.across")) {
			t.Error(err)
		}
		b.sftp("eleve", "rename blog/www/index.php tp/www/x.php\n").fails(t, 1, "unsupported")
	})
	t.Run("the root and the folders of sites are read-only", func(t *testing.T) {
		c := b.open("eleve")
		for what, err := range map[string]error{
			"mkdir": c.Mkdir("/new"), "rmdir": c.RemoveDirectory("/blog"), "rename": c.PosixRename("/blog", "/other"),
			"symlink": c.Symlink("x", "/link"), "chmod": c.Chmod("/", 0o700),
		} {
			if !errors.Is(err, os.ErrPermission) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := c.Create("/file"); !errors.Is(err, os.ErrPermission) {
			t.Error(err)
		}
	})
	t.Run("other people's sites are not there, in any spelling", func(t *testing.T) {
		c := b.open("eleve")
		for _, p := range []string{"/evil", "/evil/www/index.php", "/EVIL", "/blog/../evil", "/../evil", "/nope", "/ev il", "/evil\x00"} {
			if _, err := c.Stat(p); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%q: %v", p, err)
			}
		}
	})
	t.Run("an administrator opens any site by name", func(t *testing.T) {
		b.sftp("prof", "ls evil/www\n").ok(t)
		b.sftp("prof+evil", "ls\n").ok(t)
	})
}

func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	var group sync.WaitGroup
	for n, user := range []string{"eleve", "eleve+blog", "eleve"} {
		c := b.open(user)
		dir := "/blog/www/"
		if strings.Contains(user, "+") {
			dir = "/www/"
		}
		for i := range 4 {
			group.Go(func() {
				path := fmt.Sprintf("%s%d-%d", dir, n, i)
				f, err := c.Create(path)
				if err != nil {
					t.Error(err)
					return
				}
				text := strings.Repeat(path, 100_000)
				if _, err := f.ReadFrom(strings.NewReader(text)); err != nil {
					t.Error(err)
				}
				f.Close()
				r, err := c.Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				defer r.Close()
				if got, err := io.ReadAll(r); string(got) != text {
					t.Errorf("%s: %d bytes, %v", path, len(got), err)
				}
			})
		}
	}
	group.Wait()
}

// deaf is a connection whose reader learns of its end late.
type deaf struct {
	net.Conn
	heard chan struct{}
}

func (d deaf) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	if err != nil {
		<-d.heard
	}
	return n, err
}

func TestSiteDeletedWhileOpen(t *testing.T) {
	t.Run("under all sites the open file says so, and the rest goes on", func(t *testing.T) {
		b := newBench(t)
		c := b.open("eleve")
		f, err := c.Create("/blog/www/f")
		if err != nil {
			t.Fatal(err)
		}
		b.sites.delete("blog")
		if _, err := f.Write([]byte("x")); !says(err, i18n.T(i18n.FR, "gate.gone", i18n.Args{"s": "blog"})) {
			t.Error(err)
		}
		eventually(t, "the folder is gone", func() bool { _, err := c.Stat("/blog/www"); return errors.Is(err, os.ErrNotExist) })
		if _, err := c.Stat("/tp/www"); err != nil {
			t.Error(err)
		}
	})
	t.Run("the open file says so also before the reader has come upon the end", func(t *testing.T) {
		b := newBench(t)
		way := deaf{b.sites.child("blog"), make(chan struct{})}
		b.sites.set(func() { b.sites.files = func(string) (net.Conn, error) { return way, nil } })
		c := b.open("eleve")
		t.Cleanup(func() { close(way.heard) })
		f, err := c.Create("/blog/www/f")
		if err != nil {
			t.Fatal(err)
		}
		b.sites.delete("blog")
		way.Conn.Close()
		if _, err := f.Write([]byte("x")); !says(err, i18n.T(i18n.FR, "gate.gone", i18n.Args{"s": "blog"})) {
			t.Error(err)
		}
	})
	t.Run("in one site the session ends with a sentence", func(t *testing.T) {
		b := newBench(t)
		cmd := b.command(nil, "eleve+blog", "sftp", "eleve+blog@127.0.0.1")
		var errs syncBuffer
		cmd.Stderr = &errs
		in, _ := cmd.StdinPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(in, "put known_hosts\n")
		eventually(t, "the file is there", func() bool { _, err := os.Stat(b.sites.path("blog", "www/known_hosts")); return err == nil })
		b.sites.delete("blog")
		eventually(t, "the client has been told", func() bool {
			return strings.Contains(errs.String(), i18n.T(i18n.FR, "gate.gone", i18n.Args{"s": "blog"}))
		})
		in.Close()
		cmd.Wait()
	})
}

func TestRevocationEndsSessions(t *testing.T) {
	b := newBench(t)
	one, all, other := b.login("eleve+blog"), b.login("eleve"), b.login("mallory")
	b.sites.revoke("k-eleve")
	one.Wait()
	all.Wait()
	if who, err := run(other, "whoami"); who != "mallory" {
		t.Errorf("%q, %v", who, err)
	}
}

func TestTheHeartIsToldWhoStays(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits.Presence = time.Millisecond })
	client := b.login("eleve")
	asked := func() (n int) {
		b.sites.set(func() { n = b.sites.asked })
		return n
	}
	eventually(t, "it is asked again and again", func() bool { return asked() > 3 })
	b.sites.revoke("k-eleve")
	client.Wait()
}

// A site's SFTP server runs in reach of the site's owner.
func TestSiteThatAnswersNonsense(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":        "",
		"text":           "hello, I am no SFTP server at all, but I talk a lot",
		"huge":           "\xff\xff\xff\xff\x02\x00\x00\x00\x03",
		"short version":  "\x00\x00\x00\x01\x02",
		"then a bad one": "\x00\x00\x00\x05\x02\x00\x00\x00\x03\x00\x00\x00\x06\x68\x00\x00\x00\x02\xff" + "\x00\x00\x00\x05\x68\x00\x00\x00\x03",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			nonsense := func(string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() { io.Copy(io.Discard, theirs) }()
				go func() { io.WriteString(theirs, answer); theirs.Close() }()
				return ours, nil
			}
			b.sites.set(func() { b.sites.files = nonsense })
			c := b.open("eleve")
			if _, err := c.ReadDir("/blog/www"); err == nil {
				t.Error("listed")
			}
			b.client("eleve", "", "scp", "-O", "eleve@127.0.0.1:blog/www/x", ".").fails(t, 1, "scp:")
			if infos, err := c.ReadDir("/"); err != nil || len(infos) != 2 {
				t.Error(infos, err)
			}
		})
	}
}

func TestPanicBehindASite(t *testing.T) {
	b := newBench(t)
	b.sites.set(func() { b.sites.files = func(string) (net.Conn, error) { panic("a fault of ours") } })
	c := b.open("eleve")
	if _, err := c.ReadDir("/blog/www"); err == nil {
		t.Error("listed")
	}
	if infos, err := c.ReadDir("/"); err != nil || len(infos) != 2 {
		t.Error(infos, err)
	}
	t.Run("and while it is read becomes an error", func(t *testing.T) {
		tr := &tree{session: &session{log: slog.New(slog.DiscardHandler)}}
		err := func() (err error) { defer tr.caught(&err); panic("nonsense") }()
		if !errors.Is(err, sftp.ErrSSHFxBadMessage) {
			t.Error(err)
		}
	})
}

func TestBudgets(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Limits = Limits{Connections: 3, Channels: 2, Sessions: 3, Handles: 5, Names: 10}
	})
	t.Run("open files", func(t *testing.T) {
		c := b.open("eleve")
		var err error
		var files []*sftp.File
		for range 5 {
			f, e := c.Open("/blog/www/index.php")
			files, err = append(files, f), errors.Join(err, e)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Open("/blog/www/index.php"); err == nil {
			t.Error("a sixth file was opened")
		}
		files[0].Close()
		if _, err := c.Open("/blog/www/index.php"); err != nil {
			t.Error(err)
		}
		c.Close()
	})
	t.Run("listed names", func(t *testing.T) {
		for i := range 12 {
			b.sites.write("tp", "www/"+string(rune('a'+i)), "")
		}
		c := b.open("eleve")
		if _, err := c.ReadDir("/tp/www"); !says(err, i18n.T(i18n.FR, "gate.too-much")) {
			t.Error(err)
		}
		for range 3 { // what was listed is given back
			if _, err := c.ReadDir("/blog/www"); err != nil {
				t.Error(err)
			}
		}
		c.Close()
	})
	t.Run("sessions and connections", func(t *testing.T) {
		one, two := b.login("mallory"), b.login("mallory")
		for i, c := range []struct {
			open func() error
			want bool
		}{
			{func() error { _, _, err := one.OpenChannel("session", nil); return err }, true},
			{func() error { _, _, err := one.OpenChannel("session", nil); return err }, true},
			{func() error { _, _, err := one.OpenChannel("session", nil); return err }, false}, // of the connection
			{func() error { _, _, err := two.OpenChannel("session", nil); return err }, true},
			{func() error { _, _, err := two.OpenChannel("session", nil); return err }, false}, // of the person
		} {
			if err := c.open(); (err == nil) != c.want {
				t.Errorf("%d: %v", i, err)
			}
		}
		b.login("mallory")
		r := b.client("mallory", "", "ssh", "mallory@127.0.0.1", "whoami")
		r.fails(t, 255, i18n.T(i18n.FR, "gate.connections"))
		one.Close()
		eventually(t, "there is room again", func() bool {
			return b.client("mallory", "", "ssh", "mallory@127.0.0.1", "whoami").code == 0
		})
	})
}

func TestCloseLetsTransfersEnd(t *testing.T) {
	b := newBench(t)
	busy := b.open("eleve")
	f, err := busy.Create("/blog/www/f")
	if err != nil {
		t.Fatal(err)
	}
	idle := b.login("eleve")
	closed := make(chan error, 1)
	go func() { closed <- b.gate.Close(context.Background()) }()
	idle.Wait()
	if _, err := f.Write([]byte("the end")); err != nil {
		t.Error(err)
	}
	if err := errors.Join(f.Close(), busy.Close()); err != nil {
		t.Error(err)
	}
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("Close does not return")
	}
	if got := b.sites.read("blog", "www/f"); got != "the end" {
		t.Errorf("%q", got)
	}
}
