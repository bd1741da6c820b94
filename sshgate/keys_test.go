package sshgate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

func TestHostKeys(t *testing.T) {
	dir := t.TempDir()
	prints := func() []string {
		t.Helper()
		keys, err := LoadOrCreateHostKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, k := range keys {
			all = append(all, k.PublicKey().Type()+" "+gossh.FingerprintSHA256(k.PublicKey()))
		}
		if Fingerprint(keys) != strings.Fields(all[0])[1] {
			t.Error(Fingerprint(keys))
		}
		return all
	}
	t.Run("two processes that start together agree", func(t *testing.T) {
		var group sync.WaitGroup
		seen := make([][]string, 4)
		for i := range seen {
			group.Go(func() { seen[i] = prints() })
		}
		group.Wait()
		for _, s := range seen {
			if !slices.Equal(s, seen[0]) {
				t.Errorf("%v and %v", s, seen[0])
			}
		}
	})
	t.Run("they stay, 0600, and nothing else is left", func(t *testing.T) {
		first := prints()
		if second := prints(); !slices.Equal(first, second) || !strings.HasPrefix(first[0], "ssh-ed25519 ") {
			t.Errorf("%v, %v", first, second)
		}
		files, _ := os.ReadDir(dir)
		if len(files) != len(hostKeys) {
			t.Errorf("%v", files)
		}
		for _, f := range files {
			if info, _ := f.Info(); info.Mode() != 0o600 {
				t.Errorf("%s %v", f.Name(), info.Mode())
			}
		}
	})
	t.Run("a key that others can read is refused and kept", func(t *testing.T) {
		path := filepath.Join(dir, hostKeys[0].file)
		before, _ := os.ReadFile(path)
		os.Chmod(path, 0o644)
		defer os.Chmod(path, 0o600)
		if _, err := LoadOrCreateHostKeys(dir); err == nil {
			t.Error("loaded")
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Error("replaced")
		}
	})
	t.Run("a broken key is an error and is not replaced", func(t *testing.T) {
		path := filepath.Join(dir, hostKeys[1].file)
		os.WriteFile(path, nil, 0o600)
		if _, err := LoadOrCreateHostKeys(dir); err == nil || !strings.Contains(err.Error(), hostKeys[1].file) {
			t.Error(err)
		}
	})
}
