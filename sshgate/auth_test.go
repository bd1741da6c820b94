package sshgate

import (
	"bufio"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"petitpont/site"
	"petitpont/views/i18n"
)

func TestLogin(t *testing.T) {
	t.Run("by password and by keyboard-interactive", func(t *testing.T) {
		b := newBench(t)
		for _, method := range []string{"password", "keyboard-interactive"} {
			r := b.client("eleve", "", "ssh", "-o", "PreferredAuthentications="+method, "eleve@127.0.0.1", "whoami").ok(t)
			if r.out != "eleve\n" {
				t.Errorf("%s: %q", method, r.out)
			}
		}
	})
	t.Run("a wrong password is refused four times, then the connection ends", func(t *testing.T) {
		b := newBench(t)
		b.clientEnv([]string{"GATE_PASSWORD=wrong"}, "eleve", "", "ssh", "-o", "NumberOfPasswordPrompts=10", "eleve@127.0.0.1", "whoami").fails(t, 255, "")
		if n := len(b.sites.tried()); n != 4 {
			t.Errorf("%d passwords were tried", n)
		}
	})
	t.Run("an empty password is not even asked about", func(t *testing.T) {
		b := newBench(t)
		b.clientEnv([]string{"GATE_PASSWORD="}, "eleve", "", "ssh", "eleve@127.0.0.1", "whoami").fails(t, 255, "")
		if len(b.sites.tried()) != 0 {
			t.Error(b.sites.tried())
		}
	})
	t.Run("who is throttled reads for how long", func(t *testing.T) {
		b := newBench(t)
		b.sites.set(func() { b.sites.limitAt = 1 })
		var banner strings.Builder
		_, err := b.dial(&gossh.ClientConfig{
			User: "eleve", BannerCallback: func(m string) error { banner.WriteString(m); return nil },
			Auth: []gossh.AuthMethod{gossh.RetryableAuthMethod(gossh.Password("wrong"), 3)},
		})
		want := sentence(i18n.FR, &site.Error{Code: site.CodeTooManyTries, Args: site.Args{"s": "42"}})
		if err == nil || strings.Count(banner.String(), want) != 2 {
			t.Errorf("%v %q", err, banner.String())
		}
	})
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"the directory is down (M53)", &site.Error{Code: site.CodeDirectoryDown}, i18n.T(i18n.FR, "gate.directory-down")},
		{"something unforeseen, without its words", errors.New("dial 10.0.0.1: secret"), i18n.T(i18n.FR, "gate.unexpected")},
	} {
		t.Run("the banner says that "+c.name, func(t *testing.T) {
			b := newBench(t)
			b.sites.set(func() { b.sites.failure = c.err })
			// OpenSSH prints banners as they are only in a UTF-8 locale.
			r := b.client("eleve", "", "ssh", "eleve@127.0.0.1", "whoami").fails(t, 255, c.want)
			if strings.Contains(r.err, "secret") {
				t.Error(r.err)
			}
		})
	}
}

func TestSplitName(t *testing.T) {
	for name, want := range map[string][2]string{
		"eleve": {"eleve", ""}, "eleve+blog": {"eleve", "blog"}, "marie.dupont+Mon-Site": {"marie.dupont", "mon-site"},
		"a+b+c": {"a+b", "c"}, "+blog": {"", "blog"}, "eleve+": {"eleve", ""}, "": {"", ""},
	} {
		if login, s := splitName(name); login != want[0] || s != want[1] {
			t.Errorf("%q: %q %q", name, login, s)
		}
	}
}

func TestWordsOfTheGate(t *testing.T) {
	b := newBench(t)
	b.sites.set(func() { b.sites.sites[1].Want = site.Down })
	ssh := func(lang, user string, args ...string) result {
		return b.clientEnv([]string{"LC_ALL=" + lang}, user, "", "ssh", append([]string{user + "@127.0.0.1"}, args...)...)
	}
	for _, lang := range []i18n.Lang{i18n.FR, i18n.EN} {
		locale := map[i18n.Lang]string{i18n.FR: "fr_FR.UTF-8", i18n.EN: "en_US.UTF-8"}[lang]
		t.Run(string(lang), func(t *testing.T) {
			r := ssh(locale, "eleve", "sites").ok(t)
			if want := "blog   " + i18n.T(lang, "gate.state.asleep") + "\ntp     " + i18n.T(lang, "gate.state.stopped") + "\n"; r.out != want {
				t.Errorf("%q, want %q", r.out, want)
			}
			r = ssh(locale, "eleve").ok(t)
			for _, want := range []string{i18n.T(lang, "gate.hello", i18n.Args{"name": "eleve"}), "sftp -P 2222 eleve@localhost", "eleve+blog@localhost", "ssh -p 2222 eleve@localhost sites"} {
				if !strings.Contains(r.out, want) {
					t.Errorf("no %q in\n%s", want, r.out)
				}
			}
			if strings.Contains(r.out, "{") {
				t.Errorf("a placeholder is left in\n%s", r.out)
			}
			ssh(locale, "eleve", "help").ok(t)
		})
	}
	t.Run("an unknown site is told with those there are (M52), whatever was asked", func(t *testing.T) {
		want := func(x string) string { return i18n.T(i18n.FR, "gate.unknown", i18n.Args{"x": x, "list": "blog, tp"}) }
		ssh("fr_FR.UTF-8", "eleve+evil").fails(t, exitNotFound, want("evil"))
		ssh("fr_FR.UTF-8", "eleve+a.b", "sites").fails(t, exitNotFound, want("a.b"))
		b.sftp("eleve+blgo", "ls\n").fails(t, 255, want("blgo"))
		ssh("fr_FR.UTF-8", "victime+x").fails(t, exitNotFound, i18n.T(i18n.FR, "gate.unknown-none", i18n.Args{"x": "x"}))
	})
	t.Run("rsync and shells get a clear text", func(t *testing.T) {
		ssh("en", "eleve", "rsync", "--server").fails(t, exitUsage, i18n.T(i18n.EN, "gate.rsync"))
		ssh("en", "eleve", "bash").fails(t, exitUsage, i18n.T(i18n.EN, "gate.no-command", i18n.Args{"x": "bash"}))
	})
	t.Run("a terminal gets carriage returns", func(t *testing.T) {
		r := b.client("eleve", "", "ssh", "-tt", "eleve@127.0.0.1", "sites").ok(t)
		if !strings.Contains(r.out, "\r\n") {
			t.Errorf("%q", r.out)
		}
	})
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"blog": "blog", "é": "é", "a\x1b[2Jb": "a?[2Jb", "a\nb": "a?b", "\u202eabc": "?abc", "\xff": "?", "\u009b31m": "?31m"} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestControlMaster(t *testing.T) {
	b := newBench(t)
	b.local("x", "1")
	master := b.command(nil, "eleve+blog", "ssh", "-M", "-N", "-S", b.at("mux"), "eleve+blog@127.0.0.1")
	in, _ := master.StdinPipe()
	defer in.Close()
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the master listens", func() bool { _, err := os.Stat(b.at("mux")); return err == nil })
	for _, args := range [][]string{{"scp", "x", "y:x1"}, {"scp", "-O", "x", "y:x2"}} {
		b.client("eleve", "", args[0], append([]string{"-o", "ControlPath=" + b.at("mux")}, args[1:]...)...).ok(t)
	}
	b.client("eleve", "put x x3\n", "sftp", "-o", "ControlPath="+b.at("mux"), "y").ok(t)
	for _, name := range []string{"x1", "x2", "x3"} {
		if got := b.sites.read("blog", "www/"+name); got != "1" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if n := len(b.sites.tried()); n != 1 {
		t.Errorf("%d logins", n)
	}
	b.client("eleve", "", "ssh", "-S", b.at("mux"), "-O", "exit", "y").ok(t)
	master.Wait()
}

// negotiated reads from a client's debug text what both sides agreed on.
func negotiated(r result) string {
	_, text, _ := strings.Cut(r.err, "kex: server->client cipher: ")
	text, _, _ = strings.Cut(text, " compression")
	return text
}

func TestAlgorithms(t *testing.T) {
	b := newBench(t)
	t.Run("OpenSSH gets AES-GCM, which it does not ask for first", func(t *testing.T) {
		r := b.client("eleve", "", "ssh", "-v", "eleve@127.0.0.1", "whoami").ok(t)
		if got := negotiated(r); got != "aes128-gcm@openssh.com MAC: <implicit>" {
			t.Errorf("%q", got)
		}
	})
	t.Run("a client of another make may have CTR", func(t *testing.T) {
		config := &gossh.ClientConfig{User: "eleve", Auth: []gossh.AuthMethod{gossh.Password("secret-eleve")}}
		config.Ciphers = []string{gossh.CipherAES256CTR}
		c, err := b.dial(config)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
	for _, option := range []string{
		"Ciphers=chacha20-poly1305@openssh.com", "Ciphers=aes128-cbc", "KexAlgorithms=diffie-hellman-group14-sha1",
		"KexAlgorithms=ecdh-sha2-nistp256", "HostKeyAlgorithms=ssh-rsa",
	} {
		t.Run("no "+option, func(t *testing.T) {
			b.client("eleve", "", "ssh", "-o", option, "eleve@127.0.0.1", "whoami").fails(t, 255, "no matching")
		})
	}
}

// A client may wait for the server's version before it says its own.
func TestClientThatWaitsForTheServer(t *testing.T) {
	b := newBench(t)
	nc, err := net.Dial("tcp", "127.0.0.1:"+b.port)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	line, err := bufio.NewReader(nc).ReadString('\n')
	if line != "SSH-2.0-petitpont\r\n" {
		t.Errorf("%q, %v", line, err)
	}
}
