package sshgate

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestSFTPOfOneSite(t *testing.T) {
	b := newBench(t)
	t.Run("a put lands on the web", func(t *testing.T) {
		b.local("page.php", "<?php echo 1;\n")
		b.sftp("eleve+blog", "put page.php\nls\n").ok(t)
		if got := b.sites.read("blog", "www/page.php"); got != "<?php echo 1;\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("mode and time survive with -p", func(t *testing.T) {
		when := time.Unix(1_600_000_000, 0)
		os.Chmod(b.local("run.sh", "#!/bin/sh\n"), 0o750)
		os.Chtimes(b.at("run.sh"), when, when)
		b.sftp("eleve+blog", "put -p run.sh\nget -p run.sh back.sh\n").ok(t)
		for _, path := range []string{b.sites.path("blog", "www/run.sh"), b.at("back.sh")} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o750 || !info.ModTime().Equal(when) {
				t.Errorf("%s: mode %v, time %v", path, info.Mode(), info.ModTime())
			}
		}
	})
	t.Run("the root of a site shows www and nothing of the host", func(t *testing.T) {
		r := b.sftp("eleve+blog", "pwd\nls -la /\nls /etc\n")
		r.fails(t, 1, "/www")
		if strings.Contains(r.out, "passwd") {
			t.Error(r.out)
		}
	})
	t.Run("an upload that was cut goes on where it stopped", func(t *testing.T) {
		big := strings.Repeat("0123456789abcdef", 1<<16)
		b.local("big", big)
		b.sites.write("blog", "www/big", big[:300_000])
		b.local("part", big[:123_456])
		b.sftp("eleve+blog", "reput big\nreget big part\n").ok(t)
		if b.sites.read("blog", "www/big") != big {
			t.Error("the upload differs")
		}
		if got, _ := os.ReadFile(b.at("part")); string(got) != big {
			t.Error("the download differs")
		}
	})
}
