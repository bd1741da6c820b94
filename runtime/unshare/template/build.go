package template

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
)

// Options say how Build works. Zero values are the defaults, except Dir.
type Options struct {
	Dir      string // of all templates, D/templates
	Mirror   string // address of the Debian archive; by default the host's own, as apt knows it
	Proxy    string // URL for http and https; by default the host's own
	Direct   string // hosts and domains that are reached without it, by commas, as in no_proxy (R87)
	Keyring  string // file that verifies the archive; by default the distribution's
	Log      *slog.Logger
	Progress func(runtime.Build) // called from one goroutine
	Now      func() time.Time
}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// firstPeak is what web came to, before it was cleaned, when it was measured: 1,131 MB of which 538 stayed.
const firstPeak = 1_100 << 20

type build struct {
	recipe  runtime.Recipe
	options Options
	log     *slog.Logger
	dir     string // DIR/.building-NAME-XXXX
	total   int64  // bytes it may come to, for whoever watches
}

// Build makes a new version of the recipe's template, which Publish then lets new sites use. It needs root, mmdebstrap
// and util-linux. When it fails or ctx ends, nothing stays: no file, no mount, no process. Programs of the new system run
// only inside the build's own process and mount namespaces, and none after it has got its name.
func Build(ctx context.Context, recipe runtime.Recipe, options Options) (runtime.Template, error) {
	if err := check(recipe); err != nil {
		return runtime.Template{}, err
	}
	b := &build{recipe: recipe, options: options, log: options.Log}
	if b.log == nil {
		b.log = slog.Default()
	}
	if b.options.Keyring == "" {
		b.options.Keyring = keyring
	}
	if b.options.Now == nil {
		b.options.Now = time.Now
	}
	b.total = firstPeak
	if last, err := Newest(options.Dir, recipe.Name); err == nil {
		b.total = 2 * last.Bytes // with its packages and their lists, a system is twice what stays of it
	}
	m, err := b.run(ctx)
	if err != nil {
		return runtime.Template{}, fmt.Errorf("build template %s: %w", recipe.Name, err)
	}
	b.log.Info("template built", "name", m.Name, "version", m.Version, "bytes", m.Bytes)
	return m.template(), nil
}

func (b *build) run(ctx context.Context) (m Manifest, err error) {
	if err := os.MkdirAll(b.options.Dir, 0o755); err != nil {
		return m, err
	}
	var lock *os.File
	if b.dir, lock, err = ownDir(b.options.Dir, building+b.recipe.Name+"-"); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, removeAll(b.dir), lock.Close()) }()
	// The archive's tools give up root where they can, and then have to reach their folders.
	for name, mode := range map[string]os.FileMode{"": 0o755, "tmp": 0o1777 | os.ModeSticky} {
		path := filepath.Join(b.dir, name)
		if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, mode)); err != nil {
			return m, err
		}
	}
	if err := b.bootstrap(ctx); err != nil {
		return m, err
	}
	b.progress(runtime.BuildClean, 0)
	if err := b.clean(); err != nil {
		return m, fmt.Errorf("clean: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return m, err
	}
	return b.name()
}

func (b *build) rootfs() string { return filepath.Join(b.dir, "version", "rootfs") }

func (b *build) progress(step runtime.BuildStep, done int64) {
	if b.options.Progress == nil {
		return
	}
	b.options.Progress(runtime.Build{Step: step, Done: done, Total: max(b.total, done)})
}

// name writes everything to the disk, then gives it its name in one rename.
func (b *build) name() (Manifest, error) {
	m := Manifest{
		Name: b.recipe.Name, BuiltAt: b.options.Now().UTC().Truncate(time.Second), Suite: b.recipe.Suite,
		Services: b.recipe.Services, Trials: b.recipe.Trials,
	}
	var err error
	if m.Recipe, err = Fingerprint(b.recipe); err != nil {
		return m, err
	}
	if m.Bytes, err = diskUsage(b.rootfs()); err != nil {
		return m, err
	}
	b.progress(runtime.BuildWrite, m.Bytes)
	home := filepath.Join(b.options.Dir, m.Name)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return m, err
	}
	for {
		if m.Version, err = b.nextVersion(); err != nil {
			return m, err
		}
		if err := b.write(m); err != nil {
			return m, err
		}
		// Another build may have taken the number meanwhile: a rename onto a folder that is not empty fails.
		err = os.Rename(filepath.Join(b.dir, "version"), filepath.Join(home, m.Version))
		if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
			break
		}
	}
	if err != nil {
		return m, fmt.Errorf("name the version: %w", err)
	}
	return m, errors.Join(syncDir(home), syncDir(b.options.Dir))
}

func (b *build) nextVersion() (string, error) {
	today := b.options.Now().UTC().Format("20060102")
	all, err := versions(b.options.Dir, b.recipe.Name)
	if err != nil || len(all) == 0 {
		return today + "-1", err
	}
	day, n := split(all[len(all)-1])
	if day >= today { // also when the clock was set back: newer means higher (RULE MONO)
		return day + "-" + strconv.Itoa(n+1), nil
	}
	return today + "-1", nil
}

// write puts the manifest beside the root file system and everything on the disk.
func (b *build) write(m Manifest) error {
	dir := filepath.Join(b.dir, "version")
	if err := writeJSON(filepath.Join(dir, "manifest.json"), m); err != nil {
		return err
	}
	if err := writeState(dir, State{}); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// removeAll also removes what a process that is just being killed still adds.
func removeAll(path string) error {
	for try := 0; ; try++ {
		err := os.RemoveAll(path)
		if err == nil || !errors.Is(err, unix.ENOTEMPTY) || try == 100 {
			return err
		}
	}
}

// Fingerprint tells whether two recipes are the same, files included.
func Fingerprint(r runtime.Recipe) (string, error) {
	h := sha256.New()
	files := r.Files
	r.Files = nil
	if err := json.NewEncoder(h).Encode(r); err != nil {
		return "", err
	}
	if files == nil {
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		fmt.Fprintf(h, "%q %d\n", path, len(text))
		_, _ = h.Write(text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}
