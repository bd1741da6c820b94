package template

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// source is one place packages come from.
type source struct{ uri, suite string }

func (s source) line(keyring string) string {
	return fmt.Sprintf("deb [signed-by=%s] %s %s main", keyring, s.uri, s.suite)
}

// sources are where a suite's packages come from. Security updates come along when they can be reached.
func (b *build) sources(ctx context.Context) ([]source, error) {
	main, security, err := b.archives(ctx)
	if err != nil {
		return nil, err
	}
	list := []source{{main, b.recipe.Suite}}
	for _, s := range []source{{main, b.recipe.Suite + "-updates"}, {security, b.recipe.Suite + "-security"}} {
		if b.reachable(ctx, s) == nil {
			list = append(list, s)
		} else {
			b.log.Warn("template is built without these packages: not reachable", "suite", s.suite)
		}
	}
	return list, nil
}

// archives are the given mirror, or where the host itself gets its packages from, read now and kept nowhere. Mirrors
// keep security updates beside the rest, which is where they are looked for if the host names none.
func (b *build) archives(ctx context.Context) (main, security string, err error) {
	if main = b.options.Mirror; main == "" {
		targets, err := aptTargets(ctx)
		if err != nil {
			return "", "", err
		}
		main, security = archives(targets)
	}
	if main == "" {
		return "", "", errors.New("no Debian archive among the host's apt sources: set a mirror")
	}
	if security == "" {
		security = strings.TrimRight(main, "/") + "-security"
	}
	return main, security, nil
}

// CheckArchive asks the archive for the suite of the named recipe. Its error is a sentence for whoever runs the
// machine, minutes before Build would find out.
func CheckArchive(ctx context.Context, name string, options Options) (err error) {
	recipe, err := Recipe(name)
	if err != nil {
		return err
	}
	b := &build{recipe: recipe, options: options}
	if b.dir, err = os.MkdirTemp("", "petitpont-archive-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := os.Mkdir(filepath.Join(b.dir, "tmp"), 0o700); err != nil {
		return err
	}
	main, _, err := b.archives(ctx)
	if err != nil {
		return err
	}
	if err := b.reachable(ctx, source{main, recipe.Suite}); err != nil {
		return fmt.Errorf("the Debian archive this machine uses (%s) does not give %s, which sites are made from: %w", main, recipe.Suite, err)
	}
	return nil
}

// target is a line of the host's sources as apt itself reads them.
type target struct{ uri, suite, component string }

func aptTargets(ctx context.Context) ([]target, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
		"Created-By: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("read apt sources: %w", err)
	}
	var list []target
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 {
			list = append(list, target{f[0], f[1], f[2]})
		}
	}
	return list, nil
}

var debian = []string{"bookworm", "trixie", "forky", "stable", "oldstable", "testing", "unstable", "sid"}

// archives picks the Debian archive and its security archive. Others publish for Debian's suites too: an address
// that ends in /debian goes first.
func archives(targets []target) (main, security string) {
	slices.SortStableFunc(targets, func(a, b target) int { return cmp.Compare(rank(a), rank(b)) })
	for _, t := range targets {
		base, isSecurity := strings.CutSuffix(t.suite, "-security")
		if t.component != "main" || !slices.Contains(debian, base) {
			continue
		}
		if isSecurity && security == "" {
			security = t.uri
		}
		if !isSecurity && main == "" {
			main = t.uri
		}
	}
	return main, security
}

func rank(t target) int {
	if strings.HasSuffix(strings.TrimRight(t.uri, "/"), "/debian") {
		return 0
	}
	return 1
}

// reachable fetches the suite's release file with apt's own transport, so that every kind of mirror is understood. Its
// error is what apt says.
func (b *build) reachable(ctx context.Context, s source) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	uri := strings.TrimRight(s.uri, "/") + "/dists/" + s.suite + "/InRelease"
	cmd := exec.CommandContext(ctx, "/usr/lib/apt/apt-helper", "-qq", "-o", "Acquire::Retries=0", "download-file", uri, filepath.Join(b.dir, "InRelease"))
	cmd.Env = b.env(ctx)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for line := range strings.Lines(string(out)) {
		if said, ok := strings.CutPrefix(line, "E: "); ok && err != nil {
			return errors.New(strings.TrimSpace(said))
		}
	}
	return err
}

// env is what the tools of the build see: their proxy is the one given, else apt's own, else the environment's.
func (b *build) env(ctx context.Context) []string {
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "TMPDIR=" + filepath.Join(b.dir, "tmp")}
	for _, scheme := range []string{"http", "https"} {
		proxy := b.options.Proxy
		if proxy == "" {
			proxy = aptProxy(ctx, scheme)
		}
		if proxy == "" {
			proxy = os.Getenv(scheme + "_proxy")
		}
		if proxy != "" {
			env = append(env, scheme+"_proxy="+proxy)
		}
	}
	return append(env, "no_proxy="+b.direct())
}

// direct is who is asked without the proxy. Tools disagree about the forms: apt and curl both know host names, domains
// with a leading dot and plain addresses, and nothing else, so an address block is left out rather than misread (R87).
func (b *build) direct() string {
	all := []string{"localhost", "127.0.0.1", "::1"}
	for _, list := range []string{b.options.Direct, os.Getenv("no_proxy"), os.Getenv("NO_PROXY")} {
		for host := range strings.SplitSeq(list, ",") {
			host = strings.TrimPrefix(strings.TrimSpace(host), "*")
			if host != "" && !strings.Contains(host, "/") && !slices.Contains(all, host) {
				all = append(all, host)
			}
		}
	}
	return strings.Join(all, ",")
}

func aptProxy(ctx context.Context, scheme string) string {
	out, err := exec.CommandContext(ctx, "apt-config", "shell", "P", "Acquire::"+scheme+"::Proxy").Output()
	if err != nil {
		return ""
	}
	value, _ := bytes.CutPrefix(bytes.TrimSpace(out), []byte("P="))
	return strings.Trim(string(value), "'")
}
