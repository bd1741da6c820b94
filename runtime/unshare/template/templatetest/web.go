// Package templatetest gives tests the real web template, built once per machine.
package templatetest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/template"
)

// Web returns a templates folder that holds the web template of the recipe as it is now. It is built when it is
// missing, which takes a minute or two, and shared by all tests: nobody may write to it. The folder is
// $PETITPONT_TEST_CACHE/templates, by default below /var/tmp/petitpont-test.
func Web(t testing.TB) string {
	t.Helper()
	cache := os.Getenv("PETITPONT_TEST_CACHE")
	if cache == "" {
		cache = "/var/tmp/petitpont-test"
	}
	dir := filepath.Join(cache, "templates")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(cache, "lock")) // packages are tested by processes side by side
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if current(t, dir) {
		return dir
	}
	recipe, err := template.Recipe("web")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("building the web template in %s", dir)
	built, err := template.Build(context.Background(), recipe, template.Options{Dir: dir})
	if err == nil {
		err = template.Publish(dir, built.Name, built.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// current tells whether the newest version was made from the recipe as it is now.
func current(t testing.TB, dir string) bool {
	t.Helper()
	newest, err := template.Newest(dir, "web")
	if err != nil {
		return false
	}
	recipe, err := template.Recipe("web")
	if err != nil {
		t.Fatal(err)
	}
	want, err := template.Fingerprint(recipe)
	if err != nil {
		t.Fatal(err)
	}
	m, err := template.Read(dir, newest.Name, newest.Version)
	return err == nil && m.Recipe == want
}
