package template_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/unshare/template"
	"petitpont/runtime/unshare/template/templatetest"
)

// bare is the smallest recipe: a base system and one file.
func bare() runtime.Recipe {
	return runtime.Recipe{
		Name: "bare", Suite: "trixie", Checks: [][]string{{"test", "-x", "/usr/local/bin/hello"}},
		Services: map[string]runtime.Service{"hello": {Argv: []string{"/usr/local/bin/hello"}, User: "site", Stop: "TERM"}},
		Exec:     []string{"usr/local/bin/*"},
		Files: fstest.MapFS{
			"usr/local/bin/hello":      {Data: []byte("#!/bin/sh\necho 'it''s me'\n")},
			"home/site/www/index.html": {Data: []byte("hello")},
		},
	}
}

// TestBuild makes two versions of a small template: it costs a quarter of a minute each.
func TestBuild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "templates")
	was := mounts(t)
	now := time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)
	options := template.Options{Dir: dir, Now: func() time.Time { return now }}
	var steps []runtime.BuildStep
	options.Progress = func(b runtime.Build) {
		if len(steps) == 0 || steps[len(steps)-1] != b.Step {
			steps = append(steps, b.Step)
		}
	}
	first, err := template.Build(context.Background(), bare(), options)
	if err != nil {
		t.Fatal(err)
	}
	if first.Version != "20261120-1" || !slices.Equal(first.Services, []string{"hello"}) || first.Bytes < 10<<20 {
		t.Errorf("%+v", first)
	}
	if !slices.IsSorted(order(steps)) || len(steps) < 5 {
		t.Errorf("steps: %q", steps)
	}
	if newest, err := template.Newest(dir, "bare"); !errors.Is(err, runtime.ErrNoTemplate) {
		t.Errorf("new sites would get a version nobody has published: %+v %v", newest, err)
	}
	publish(t, dir, first)
	print := fingerprint(t, filepath.Join(dir, "bare", first.Version, "rootfs"))

	options.Progress = nil
	now = now.Add(-48 * time.Hour) // a clock that was set back must not hide the new version
	second, err := template.Build(context.Background(), bare(), options)
	if err != nil {
		t.Fatal(err)
	}
	if second.Version != "20261120-2" {
		t.Errorf("second version is %s", second.Version)
	}
	publish(t, dir, second)
	if newest, err := template.Newest(dir, "bare"); err != nil || newest.Version != second.Version {
		t.Errorf("newest: %+v %v", newest, err)
	}
	if list, err := template.List(dir); err != nil || len(list) != 2 || list[0].Version != first.Version {
		t.Errorf("list: %+v %v", list, err)
	}
	if fingerprint(t, filepath.Join(dir, "bare", first.Version, "rootfs")) != print {
		t.Error("the first version changed")
	}
	if is := mounts(t); is != was {
		t.Errorf("mounts before:\n%s\nafter:\n%s", was, is)
	}
	leftNothing(t, dir, "bare")
	owned(t, filepath.Join(dir, "bare", second.Version, "rootfs"), "home/site/www/index.html")
}

func publish(t *testing.T, dir string, v runtime.Template) {
	t.Helper()
	if err := template.Publish(dir, v.Name, v.Version); err != nil {
		t.Fatal(err)
	}
}

// owned looks at what every root file system has to be.
func owned(t *testing.T, root, page string) {
	t.Helper()
	for path, want := range map[string]struct {
		uid  uint32
		mode fs.FileMode
	}{
		".": {0, fs.ModeDir | 0o755}, "etc/passwd": {0, 0o644}, "etc/shadow": {0, 0o640}, "usr/local/bin": {0, fs.ModeDir | 0o755},
		"home": {0, fs.ModeDir | 0o755}, "home/site": {1000, fs.ModeDir | 0o755}, "home/site/www": {1000, fs.ModeDir | 0o755},
		page: {1000, 0o644}, "etc/resolv.conf": {0, 0o644}, "etc/hosts": {0, 0o644},
		"etc/machine-id": {0, 0o644}, "tmp": {0, fs.ModeDir | fs.ModeSticky | 0o777},
	} {
		info, err := os.Lstat(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
			continue
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != want.uid || info.Mode() != want.mode {
			t.Errorf("%s: uid %d, %v; want %d, %v", path, st.Uid, info.Mode(), want.uid, want.mode)
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if m := info.Mode(); m&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 || !d.IsDir() && m&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			t.Errorf("%s: %v", path, m)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if out, _ := exec.Command("getcap", "-r", root).CombinedOutput(); strings.Contains(string(out), "cap_") {
		t.Errorf("capabilities: %s", out)
	}
}

func TestAnInterruptedBuildLeavesNothing(t *testing.T) {
	for _, at := range []runtime.BuildStep{runtime.BuildDownload, runtime.BuildInstall} {
		t.Run(string(at), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "templates")
			was := mounts(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			_, err := template.Build(ctx, bare(), template.Options{Dir: dir, Progress: func(b runtime.Build) {
				if b.Step == at {
					cancel()
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			leftNothing(t, dir)
			if is := mounts(t); is != was {
				t.Errorf("mounts before:\n%s\nafter:\n%s", was, is)
			}
		})
	}
}

func TestAFailedBuildLeavesNothingAndSaysWhy(t *testing.T) {
	for name, change := range map[string]func(*runtime.Recipe, *template.Options){
		"a package that does not exist": func(r *runtime.Recipe, _ *template.Options) { r.Packages = []string{"no-such-package"} },
		"a keyring that does not verify": func(_ *runtime.Recipe, o *template.Options) {
			o.Keyring = filepath.Join(t.TempDir(), "empty.gpg")
			if err := os.WriteFile(o.Keyring, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"a mirror that is not there": func(_ *runtime.Recipe, o *template.Options) { o.Mirror = "http://127.0.0.1:9/debian" },
	} {
		t.Run(name, func(t *testing.T) {
			r, o := bare(), template.Options{Dir: filepath.Join(t.TempDir(), "templates")}
			change(&r, &o)
			_, err := template.Build(context.Background(), r, o)
			if err == nil || !strings.Contains(err.Error(), "mmdebstrap") {
				t.Fatal(err)
			}
			leftNothing(t, o.Dir)
		})
	}
}

func TestAFailedCheckPublishesNothing(t *testing.T) {
	r, o := bare(), template.Options{Dir: filepath.Join(t.TempDir(), "templates")}
	r.Checks = [][]string{{"test", "it's", "=", "not so"}}
	_, err := template.Build(context.Background(), r, o)
	if err == nil || !strings.Contains(err.Error(), "it'\\''s") {
		t.Fatal(err)
	}
	leftNothing(t, o.Dir)
}

// leftNothing holds the folder to the published names, and looks for processes that still stand in it.
func leftNothing(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("left: %s", e.Name())
		}
	}
	links, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, l := range links {
		for _, what := range []string{l, filepath.Join(filepath.Dir(l), "cwd")} {
			if to, err := os.Readlink(what); err == nil && strings.HasPrefix(to, dir) {
				t.Errorf("process left: %s -> %s", what, to)
			}
		}
	}
}

func mounts(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var ours []string // others mount and unmount meanwhile
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, ".building-") {
			ours = append(ours, line)
		}
	}
	return strings.Join(ours, "")
}

func order(steps []runtime.BuildStep) (at []int) {
	all := []runtime.BuildStep{
		runtime.BuildLists, runtime.BuildDownload, runtime.BuildUnpack, runtime.BuildInstall,
		runtime.BuildSetUp, runtime.BuildClean, runtime.BuildWrite,
	}
	for _, s := range steps {
		at = append(at, slices.Index(all, s))
	}
	return at
}

// fingerprint covers names, modes, owners, times and contents.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, path, info.Mode(), info.Size(), info.ModTime())
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			h.Write(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestWeb(t *testing.T) {
	dir := templatetest.Web(t)
	newest, err := template.Newest(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "web", newest.Version, "rootfs")
	t.Logf("%s: %.1f MiB", newest.Version, float64(newest.Bytes)/(1<<20))
	if newest.Bytes > 650<<20 || !slices.Equal(newest.Services, []string{"apache", "caddy", "mariadb", "nginx", "node", "php", "postgresql", "python"}) {
		t.Errorf("%+v", newest)
	}
	for _, gone := range []string{
		"usr/share/man/man1", "var/lib/apt/lists/auxfiles", "etc/apt/apt.conf.d/99mmdebstrap",
		"etc/systemd/system/multi-user.target.wants", "usr/bin/systemctl", "etc/php/8.4/fpm/conf.d/20-ffi.ini",
		"var/www/html", "etc/passwd-", "usr/lib/postgresql/17/lib/llvmjit.so",
	} {
		if _, err := os.Lstat(filepath.Join(root, gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	for _, file := range []string{"home/site/logs/README.txt", "usr/share/petitpont/mariadb/ibdata1", "usr/share/petitpont/postgresql/data/PG_VERSION", "usr/bin/mariadb-dump", "usr/bin/rsync", "usr/bin/nano", "etc/ssl/certs/ca-certificates.crt"} {
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Error(err)
		}
	}
	owned(t, root, "home/site/logs/README.txt")
	manifest, err := template.Read(dir, "web", newest.Version)
	if err != nil {
		t.Fatal(err)
	}
	serves(t, root, manifest)
}

// stage is a throw-away box: namespaces, the template below a layer in memory, and a script that asks its servers.
const stage = `
	t=$(mktemp -d); trap 'rmdir "$t"' EXIT
	mount -t tmpfs none "$t"; mkdir "$t/upper" "$t/work" "$t/root"
	mount -t overlay none -o "lowerdir=$1,upperdir=$t/upper,workdir=$t/work" "$t/root"; r=$t/root; shift
	mount -t tmpfs none "$r/run"; mount -t tmpfs none "$r/tmp"; mount -t proc none "$r/proc"; mount --bind /dev "$r/dev"
	ip link set lo up
	head -c 2000000 /dev/zero | tr '\\0' x >"$r/home/site/logs/big.log"; chown 1000:1000 "$r/home/site/logs/big.log"
	for service; do chroot "$r" sh -c "exec $service" 2>&1 & done
	get() { curl -sg --retry 50 --retry-delay 0 --retry-max-time 20 --retry-connrefused --retry-all-errors -f "$@"; echo; }
	get http://127.0.0.1/ -H 'Host: blog.example.org:8080' -H 'Accept-Language: en' | grep -c 'blog.example.org<\|PHP 8' # 2 lines and the title
	get 'http://[::1]/?lang=fr' | grep -o 'est en ligne'
	cat >"$r/home/site/www/probe.php" <<'END'
<?php echo implode(" ", [posix_getuid(), $_SERVER["REMOTE_ADDR"], $_SERVER["PATH_INFO"], $_SERVER["HTTPS"] ?? "plain", extension_loaded("ffi") ? "ffi" : "-"]);
trigger_error("said so"); session_start();
END
	echo secret >"$r/home/site/www/.env"
	get http://127.0.0.1/probe.php/more -H 'X-Forwarded-For: 2001:db8::7' -H 'X-Forwarded-Proto: https'
	curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1/.env
	curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1/none.php
	grep -o 'said so' "$r/home/site/logs/php.log"; stat -c %u "$r/home/site/logs/php.log"
	until [ "$(stat -c %s "$r/home/site/logs/big.log")" -lt 300000 ]; do :; done
	umount -l "$t"
`

// serves starts the services and asks them what a visitor would.
func serves(t *testing.T, root string, m template.Manifest) {
	t.Helper()
	argv := []string{"--mount", "--pid", "--net", "--fork", "--kill-child=SIGKILL", "sh", "-ec", stage, "stage", root}
	for _, name := range []string{"php", "nginx"} {
		var words []string
		for _, w := range m.Services[name].Argv {
			words = append(words, "'"+w+"'")
		}
		argv = append(argv, strings.Join(words, " "))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", argv...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	var said []string // nginx speaks of a backend that is not there yet
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "[crit]") {
			said = append(said, line)
		}
	}
	want := []string{"3", "est en ligne", "1000 2001:db8::7 /more on -", "404", "404", "said so", "1000"}
	if err != nil || !slices.Equal(said, want) {
		t.Fatalf("%v\n%s\nwant %q", err, out, want)
	}
}
