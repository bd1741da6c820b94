package sshgate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"petitpont/views/i18n"
)

// tree makes a folder with files, modes and times on the client's side.
func (b *bench) localTree(name string) {
	b.t.Helper()
	b.local(name+"/index.php", "<?php echo 'tree';\n")
	b.local(name+"/css/site.css", "body{}\n")
	b.local(name+"/css/deep/é à.css", strings.Repeat("x", 70_000))
	b.local(name+"/empty", "")
	os.Chmod(b.at(name+"/css/site.css"), 0o662) // more than a umask lets through
	os.Chmod(b.at(name+"/css"), 0o711)
	when := time.Unix(1_500_000_000, 0)
	for _, p := range []string{"/css/site.css", "/css/deep", "/css", ""} {
		os.Chtimes(b.at(name+p), when, when)
	}
}

// sameTree compares content, and with times also modes and times.
func sameTree(t *testing.T, a, b string, times bool) {
	t.Helper()
	seen := 0
	err := filepath.Walk(a, func(p string, want os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		seen++
		rel, _ := filepath.Rel(a, p)
		got, err := os.Stat(filepath.Join(b, rel))
		if err != nil {
			t.Error(err)
			return nil
		}
		if want.Mode().IsRegular() {
			x, _ := os.ReadFile(p)
			y, _ := os.ReadFile(filepath.Join(b, rel))
			if string(x) != string(y) {
				t.Errorf("%s differs: %d and %d bytes", rel, len(x), len(y))
			}
		}
		if times && (got.Mode() != want.Mode() || got.ModTime().Unix() != want.ModTime().Unix()) {
			t.Errorf("%s: %v %v, want %v %v", rel, got.Mode(), got.ModTime().Unix(), want.Mode(), want.ModTime().Unix())
		}
		return nil
	})
	if err != nil || seen < 2 {
		t.Fatal(seen, err)
	}
}

func TestSCP(t *testing.T) {
	b := newBench(t)
	b.local("index.php", "<?php echo 'new';\n")
	b.localTree("tree")
	for _, version := range []struct {
		name string
		flag []string
	}{{"the SFTP kind", nil}, {"the rcp kind", []string{"-O"}}} {
		scp := func(user string, args ...string) result {
			return b.client(user, "", "scp", append(append([]string{}, version.flag...), args...)...)
		}
		t.Run(version.name+" puts a file on the web of one site", func(t *testing.T) {
			b.sites.write("blog", "www/index.php", "old")
			scp("eleve", "index.php", "eleve+blog@127.0.0.1:index.php").ok(t)
			if got := b.sites.read("blog", "www/index.php"); got != "<?php echo 'new';\n" {
				t.Errorf("got %q", got)
			}
		})
		t.Run(version.name+" puts and gets a tree under all sites, with modes and times", func(t *testing.T) {
			os.RemoveAll(b.sites.path("tp", "www/tree"))
			os.RemoveAll(b.at("back"))
			scp("eleve", "-r", "-p", "tree", "eleve@127.0.0.1:tp/www/").ok(t)
			sameTree(t, b.at("tree"), b.sites.path("tp", "www/tree"), true)
			scp("eleve", "-r", "-p", "eleve@127.0.0.1:tp/www/tree", "back").ok(t)
			sameTree(t, b.at("tree"), b.at("back"), true)
		})
		t.Run(version.name+" puts and gets a tree of one site", func(t *testing.T) {
			os.RemoveAll(b.sites.path("blog", "www/tree"))
			os.RemoveAll(b.at("back"))
			scp("eleve", "-r", "tree", "eleve+blog@127.0.0.1:").ok(t)
			sameTree(t, b.at("tree"), b.sites.path("blog", "www/tree"), false)
			scp("eleve", "-r", "eleve+blog@127.0.0.1:/www/tree", "back").ok(t)
			sameTree(t, b.at("tree"), b.at("back"), false)
		})
		t.Run(version.name+" expands wildcards", func(t *testing.T) {
			b.sites.write("blog", "www/a1.txt", "1")
			b.sites.write("blog", "www/a2.txt", "2")
			os.RemoveAll(b.at("globbed"))
			os.Mkdir(b.at("globbed"), 0o755)
			scp("eleve", "eleve+blog@127.0.0.1:a*.txt", "eleve@127.0.0.1:blog/www/a[12].txt", "globbed").ok(t)
			if found, _ := filepath.Glob(b.at("globbed/*")); len(found) != 2 {
				t.Error(found)
			}
		})
		t.Run(version.name+" says that a file is missing, and goes on", func(t *testing.T) {
			os.RemoveAll(b.at("some"))
			os.Mkdir(b.at("some"), 0o755)
			r := scp("eleve", "eleve+blog@127.0.0.1:nope", "eleve+blog@127.0.0.1:index.php", "some")
			if r.code != 1 || !strings.Contains(r.err, "nope") {
				t.Errorf("%+v", r)
			}
			if _, err := os.Stat(b.at("some/index.php")); err != nil {
				t.Error(err)
			}
		})
		t.Run(version.name+" refuses the root of all sites", func(t *testing.T) {
			if r := scp("eleve", "index.php", "eleve@127.0.0.1:index.php"); r.code == 0 {
				t.Errorf("%+v", r)
			}
		})
		t.Run(version.name+" says M52 for somebody else's site", func(t *testing.T) {
			r := scp("eleve", "index.php", "eleve+evil@127.0.0.1:index.php")
			if r.code == 0 || !strings.Contains(r.err, i18n.T(i18n.FR, "gate.unknown", i18n.Args{"x": "evil", "list": "blog, tp"})) {
				t.Errorf("%+v", r)
			}
		})
	}
}
