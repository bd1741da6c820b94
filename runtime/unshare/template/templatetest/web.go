// Package templatetest gives tests the real web template, built once per machine.
package templatetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/unshare/template"
)

// Web returns a templates folder that holds the web template of the recipe as it is now. It is built when it is
// missing, which takes a minute or two, and shared by all tests: nobody may write to it. The folder is
// $PETITPONT_TEST_CACHE/templates, by default below /var/tmp/petitpont-test.
func Web(t testing.TB) string {
	t.Helper()
	dir, err := Prepare()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Prepare is Web for those who have no test yet.
func Prepare() (string, error) {
	cache := os.Getenv("PETITPONT_TEST_CACHE")
	if cache == "" {
		cache = "/var/tmp/petitpont-test"
	}
	dir := filepath.Join(cache, "templates")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.Create(filepath.Join(cache, "lock")) // packages are tested by processes side by side
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	recipe, err := template.Recipe("web")
	if err != nil {
		return "", err
	}
	if current(dir, recipe) {
		return dir, nil
	}
	if err := template.Sweep(dir); err != nil { // of a build that was killed
		return "", err
	}
	built, err := template.Build(context.Background(), recipe, template.Options{Dir: dir})
	if err == nil {
		err = template.Publish(dir, built.Name, built.Version)
	}
	return dir, err
}

// current tells whether the newest version was made from the recipe as it is now. One that cannot be read was not.
func current(dir string, recipe runtime.Recipe) bool {
	want, err := template.Fingerprint(recipe)
	if err != nil {
		return false
	}
	newest, err := template.Newest(dir, recipe.Name)
	if err != nil {
		return false
	}
	m, err := template.Read(dir, newest.Name, newest.Version)
	return err == nil && m.Recipe == want
}
