package template

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"petitpont/runtime"
)

func publishEmpty(t *testing.T, dir, name, version string) {
	t.Helper()
	path := filepath.Join(dir, name, version)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	text := `{"name":"` + name + `","version":"` + version + `","builtAt":"2026-11-20T10:00:00Z","bytes":7,"services":{"b":{},"a":{}}}`
	if err := os.WriteFile(filepath.Join(path, "manifest.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestNewestCountsVersionsAsNumbers(t *testing.T) {
	dir := t.TempDir()
	for _, v := range []string{"20261120-9", "20261120-10", "20261119-11"} {
		publishEmpty(t, dir, "web", v)
	}
	if err := os.Mkdir(filepath.Join(dir, "web", "lost+found"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Newest(dir, "web")
	if err != nil || got.Version != "20261120-10" || got.Bytes != 7 || !slices.Equal(got.Services, []string{"a", "b"}) {
		t.Fatalf("%+v %v", got, err)
	}
	for _, name := range []string{"none", "../web", ".building-x"} {
		if _, err := Newest(dir, name); !errors.Is(err, runtime.ErrNoTemplate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoFolderIsNoTemplate(t *testing.T) {
	if list, err := List(filepath.Join(t.TempDir(), "none")); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
}

func TestSweepLeavesABuildUnderWayAlone(t *testing.T) {
	dir := t.TempDir()
	dead, live := filepath.Join(dir, building+"web-1"), filepath.Join(dir, building+"web-2")
	for _, path := range []string{dead + "/version/rootfs/etc", live + "/version"} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	publishEmpty(t, dir, "web", "20261120-1")
	lock, err := lockDir(live)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || left[0].Name() != filepath.Base(live) || left[1].Name() != "web" {
		t.Fatal(left, err)
	}
}

func TestArchivesAreFoundAmongOthersSources(t *testing.T) {
	main, security := archives([]target{
		{"http://db.example.org/repo/11/debian/extra", "bookworm", "main"},
		{"http://mirror.example.org/debian/", "bookworm", "main"},
		{"http://mirror.example.org/debian/", "bookworm-updates", "main"},
		{"http://mirror.example.org/debian-security/", "bookworm-security", "main"},
		{"https://tools.example.org/apt", "tools-bookworm", "main"},
	})
	if main != "http://mirror.example.org/debian/" || security != "http://mirror.example.org/debian-security/" {
		t.Fatal(main, security)
	}
}

func TestRecipesAreHeldToTheirForm(t *testing.T) {
	good := `suite = "trixie"
packages = ["nginx"]
[services.nginx]
argv = ["/usr/sbin/nginx"]
user = "root"
stop = "QUIT"
`
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"a good one":             {good, true},
		"an unknown key":         {good + "stpo = \"TERM\"\n", false},
		"a package option":       {`suite = "trixie"` + "\n" + `packages = ["nginx,--x"]`, false},
		"a relative program":     {good + "[services.x]\nargv=[\"x\"]\nuser=\"root\"\nstop=\"TERM\"\n", false},
		"no suite":               {`packages = []`, false},
		"something not TOML":     {`suite = `, false},
		"a service with no user": {good + "[services.x]\nargv=[\"/x\"]\nstop=\"TERM\"\n", false},
	} {
		_, err := ReadRecipe("web", fstest.MapFS{"recipe.toml": {Data: []byte(c.text)}, "files/etc/x": {}})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Recipe("nonesuch"); !errors.Is(err, runtime.ErrNoTemplate) {
		t.Error(err)
	}
	if _, err := Recipe("web"); err != nil {
		t.Error(err)
	}
}
