package template

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"petitpont/runtime"
)

const siteUID = 1000 // and group, of the user every template has: the site's own

// bootstrap has mmdebstrap make the root file system, in process and mount namespaces of its own: when the first
// process there ends, the kernel ends all others and takes the mounts away.
func (b *build) bootstrap(ctx context.Context) error {
	sources, err := b.sources(ctx)
	if err != nil {
		return err
	}
	if err := b.packFiles(); err != nil {
		return fmt.Errorf("pack files: %w", err)
	}
	if err := os.Mkdir(filepath.Dir(b.rootfs()), 0o755); err != nil {
		return err
	}
	argv := append([]string{"--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "mmdebstrap"}, b.arguments(sources)...)
	cmd := exec.CommandContext(ctx, "unshare", argv...)
	cmd.Env = b.env(ctx)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // Ctrl+C is ours to pass on
	return b.follow(ctx, cmd)
}

func (b *build) arguments(sources []source) []string {
	argv := []string{
		"--mode=root", "--format=directory", "--variant=minbase",
		"--dpkgopt=force-unsafe-io", // everything is synced at once before it is published
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--customize-hook=useradd --root \"$1\" --uid 1000 --user-group --no-create-home --home-dir /home/site --shell /bin/bash site",
		"--customize-hook=tar-in " + quote(b.tarball()) + " /",
	}
	if len(b.recipe.Packages) > 0 {
		argv = append(argv, "--include="+strings.Join(b.recipe.Packages, ","))
	}
	for _, dir := range []string{"man", "info", "locale", "lintian", "bug", "doc-base"} {
		argv = append(argv, "--dpkgopt=path-exclude=/usr/share/"+dir+"/*")
	}
	for _, name := range slices.Sorted(maps.Keys(b.recipe.Users)) { // before a package makes them with a number of its own
		id := strconv.Itoa(b.recipe.Users[name])
		argv = append(argv, `--essential-hook=groupadd --root "$1" --system --gid `+id+" "+name+
			` && useradd --root "$1" --system --uid `+id+" --gid "+id+" --no-create-home --home-dir /var/lib/"+name+" --shell /usr/sbin/nologin "+name)
	}
	for _, command := range slices.Concat(b.recipe.Setup, b.recipe.Checks) {
		words := make([]string, len(command))
		for i, w := range command {
			words[i] = quote(w)
		}
		argv = append(argv, `--customize-hook=chroot "$1" `+strings.Join(words, " "))
	}
	argv = append(argv, b.recipe.Suite, b.rootfs())
	for _, s := range sources {
		argv = append(argv, s.line(b.options.Keyring))
	}
	return argv
}

// quote makes one word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (b *build) tarball() string { return filepath.Join(b.dir, "files.tar") }

// follow runs the command and reports its steps, with the size of what it has made so far.
func (b *build) follow(ctx context.Context, cmd *exec.Cmd) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = in, in
	// The signal of Pdeathsig comes when the thread ends that started the process, so it has to last.
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	if err := errors.Join(cmd.Start(), in.Close()); err != nil {
		return err
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	last := b.report(lines)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("mmdebstrap: %w: %s", err, strings.Join(last, "; "))
	}
	return nil
}

// phases are what mmdebstrap says when a step of ours begins.
var phases = []struct {
	prefix string
	step   runtime.BuildStep
}{
	{"I: running apt-get update", runtime.BuildLists},
	{"I: downloading packages", runtime.BuildDownload},
	{"I: extracting archives", runtime.BuildUnpack},
	{"I: installing essential", runtime.BuildInstall},
	{"I: running --customize-hook", runtime.BuildSetUp},
	{"I: cleaning package lists", runtime.BuildClean},
}

// report follows the lines until the last holder of the pipe has gone, and returns what the last programs said and then
// the errors.
func (b *build) report(lines <-chan string) []string {
	var said, errs []string
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	step := runtime.BuildLists
	b.progress(step, 0)
	for {
		select {
		case line, more := <-lines:
			if !more {
				return append(said[max(0, len(said)-3):], errs...)
			}
			b.log.Debug("mmdebstrap", "line", line)
			if failed, ok := strings.CutPrefix(line, "E: "); ok {
				errs = append(errs, failed)
			} else if !strings.HasPrefix(line, "I: ") && len(errs) == 0 {
				said = append(said[max(0, len(said)-3):], line)
			}
			for _, p := range phases {
				if strings.HasPrefix(line, p.prefix) && p.step != step {
					step = p.step
				}
			}
		case <-tick.C:
		}
		done, _ := diskUsage(b.rootfs()) // a tree that is being written to: near enough
		b.progress(step, done)
	}
}

// packFiles makes an archive of the recipe's files with their owners and modes, below a home of the site's user.
func (b *build) packFiles() (err error) {
	f, err := os.Create(b.tarball())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	for _, dir := range []string{"home/site", "home/site/www", "home/site/logs"} {
		if err := w.WriteHeader(b.header(dir, 0, true, false)); err != nil {
			return err
		}
	}
	if b.recipe.Files != nil {
		if err := b.packTree(w); err != nil {
			return err
		}
	}
	return w.Close()
}

func (b *build) packTree(w *tar.Writer) error {
	return fs.WalkDir(b.recipe.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			return w.WriteHeader(b.header(name, 0, true, false))
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := w.WriteHeader(b.header(name, info.Size(), false, matches(b.recipe.Exec, name))); err != nil {
			return err
		}
		in, err := b.recipe.Files.Open(name)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	})
}

func (b *build) header(name string, size int64, dir, exec bool) *tar.Header {
	h := &tar.Header{Name: name, Size: size, Mode: 0o644, Typeflag: tar.TypeReg, ModTime: b.options.Now()}
	if dir {
		h.Name, h.Typeflag = name+"/", tar.TypeDir
	}
	if dir || exec {
		h.Mode = 0o755
	}
	if name == "home/site" || strings.HasPrefix(name, "home/site/") {
		h.Uid, h.Gid = siteUID, siteUID
	}
	return h
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}
