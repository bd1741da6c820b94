package sshgate

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"petitpont/views/i18n"
)

// talk plays one side of the rcp protocol: it sends everything at once, and returns what the gate answered.
func (b *bench) talk(user, command, send string) (answer string, code int) {
	b.t.Helper()
	c := b.login(user)
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		b.t.Fatal(err)
	}
	defer s.Close()
	var out bytes.Buffer
	s.Stdout, s.Stdin = &out, strings.NewReader(send)
	err = s.Run(command)
	if exit, ok := err.(*gossh.ExitError); ok {
		return out.String(), exit.ExitStatus()
	} else if err != nil {
		b.t.Fatal(err)
	}
	return out.String(), 0
}

func (b *bench) files(name string) int {
	n := 0
	for _, dir := range []string{"", "www"} {
		in, err := os.ReadDir(b.sites.path(name, dir))
		if err != nil {
			b.t.Fatal(err)
		}
		n += len(in)
	}
	return n
}

func TestSCPClientThatLies(t *testing.T) {
	b := newBench(t)
	before := b.files("blog")
	for name, send := range map[string]string{
		"a name that goes up":         "C0644 1 ../x\nx\x00",
		"a name with a folder":        "C0644 1 www/x\nx\x00",
		"an absolute name":            "C0644 1 /etc/x\nx\x00",
		"dots":                        "C0644 1 ..\nx\x00",
		"no name":                     "C0644 1 \nx\x00",
		"a name with a NUL":           "C0644 1 a\x00b\nx\x00",
		"a name too long":             "C0644 1 " + strings.Repeat("a", 300) + "\nx\x00",
		"a line without end":          "C0644 1 " + strings.Repeat("a", 100_000),
		"a negative size":             "C0644 -1 x\nx\x00",
		"a size beyond all":           "C0644 9999999999999999 x\nx\x00",
		"a mode that is none":         "C9999 1 x\nx\x00",
		"a folder without -r":         "D0755 0 d\nE\n",
		"an end without a folder":     "E\n",
		"a kind that is none":         "X0644 1 x\n",
		"times that are none":         "Tx 0 0 0\n",
		"an empty line":               "\n",
		"a fatal error of the client": "\x02gone\n",
	} {
		t.Run(name, func(t *testing.T) {
			if answer, code := b.talk("eleve+blog", "scp -t /www", send); code != 1 {
				t.Errorf("exit %d, %q", code, answer)
			}
			if n := b.files("blog"); n != before {
				t.Errorf("%d files, there were %d", n, before)
			}
		})
	}
	t.Run("a folder name that goes up", func(t *testing.T) {
		if answer, code := b.talk("eleve+blog", "scp -r -t /www", "D0755 0 ..\nC0644 1 x\nx\x00E\n"); code != 1 || b.files("blog") != before {
			t.Errorf("exit %d, %q", code, answer)
		}
	})
	t.Run("folders without end", func(t *testing.T) {
		answer, code := b.talk("eleve+blog", "scp -r -t /www", strings.Repeat("D0755 0 d\n", 300))
		if code != 1 || !strings.Contains(answer, "\x01scp: ") {
			t.Errorf("exit %d, %q", code, answer)
		}
		os.RemoveAll(b.sites.path("blog", "www/d"))
	})
	t.Run("a file that ends early is not reported as done", func(t *testing.T) {
		if answer, code := b.talk("eleve+blog", "scp -t /www", "C0644 100 short\nonly this"); code != 1 {
			t.Errorf("exit %d, %q", code, answer)
		}
	})
	t.Run("a link to outside stays inside", func(t *testing.T) {
		if err := os.Symlink("/etc/passwd", b.sites.path("blog", "www/passwd")); err != nil {
			t.Fatal(err)
		}
		answer, code := b.talk("eleve+blog", "scp -f passwd", "\x00\x00\x00")
		if code != 1 || strings.Contains(answer, "root") {
			t.Errorf("exit %d, %q", code, answer)
		}
	})
	t.Run("a circle of links ends", func(t *testing.T) {
		os.Mkdir(b.sites.path("tp", "www/c"), 0o755)
		if err := os.Symlink(".", b.sites.path("tp", "www/c/again")); err != nil {
			t.Fatal(err)
		}
		if _, code := b.talk("eleve+tp", "scp -r -f c", strings.Repeat("\x00", 1000)); code != 1 {
			t.Errorf("exit %d", code)
		}
	})
}

func TestExecIsNeverAShell(t *testing.T) {
	b := newBench(t)
	canary := b.at("canary")
	for _, command := range []string{
		"touch " + canary, "sh -c 'touch " + canary + "'", "scp -t $(touch " + canary + ")", "scp -t `touch " + canary + "`",
		"scp -t x; touch " + canary, "whoami && touch " + canary, "sites\ntouch " + canary, "rsync --server . .",
		"rsync --rsh='touch " + canary + "' a b", "git-upload-pack 'x'", "scp -t -S" + canary + " x", "scp -t a b", "scp -f", "scp x y",
		"scp -t -f x", "/bin/sh", strings.Repeat("a", 30_000),
	} {
		if answer, code := b.talk("eleve", command, ""); code != exitUsage || answer != "" {
			t.Errorf("%q: exit %d, %q", printable(command), code, answer)
		}
	}
	t.Run("quoted, it is a name like another", func(t *testing.T) {
		for _, name := range []string{"$(id)", "; rm -rf x", "a b", "`id`"} {
			answer, code := b.talk("eleve+blog", fmt.Sprintf("scp -t '%s'", name), "C0644 2 x\nhi\x00")
			if code != 0 || answer != "\x00\x00\x00" {
				t.Errorf("exit %d, %q", code, answer)
			}
			if got := b.sites.read("blog", "www/"+name); got != "hi" {
				t.Errorf("%q", got)
			}
		}
	})
	t.Run("a command of a megabyte is refused", func(t *testing.T) {
		s, err := b.login("eleve").NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(strings.Repeat("a", 1<<20)); err == nil {
			t.Error("started")
		}
	})
	if _, err := os.Stat(canary); err == nil {
		t.Error("something was executed")
	}
}

func TestSCPSaysThatTheDiskIsFull(t *testing.T) {
	b := newBench(t)
	b.sites.mountSmall("blog", 1<<20)
	b.local("big", strings.Repeat("x", 2<<20))
	b.client("eleve", "", "scp", "-O", "big", "eleve+blog@127.0.0.1:").fails(t, 1, i18n.T(i18n.FR, "gate.full", i18n.Args{"u": i18n.Bytes(i18n.FR, 1<<20), "q": i18n.Bytes(i18n.FR, 1<<20)}))
	err := put(b, "eleve", "/blog/www/big2")
	if !says(err, "disque plein (") {
		t.Error(err)
	}
}

func put(b *bench, user, path string) error {
	f, err := b.open(user).Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, strings.NewReader(strings.Repeat("x", 2<<20)))
	return err
}
