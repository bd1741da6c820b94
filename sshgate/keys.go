package sshgate

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	gossh "golang.org/x/crypto/ssh"
)

// hostKeys are the files of a gate's identity and how each is made. RSA is for clients from before 2014.
var hostKeys = []struct {
	file string
	make func() (crypto.Signer, error)
}{
	{"ssh_host_ed25519_key", func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}},
	{"ssh_host_rsa_key", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) }},
}

// LoadOrCreateHostKeys reads the host keys in dir, and makes those that are missing, mode 0600, each by one link: a
// crash leaves a whole key or none. A key that cannot be read, or that others may read, is an error and is not replaced:
// every client would warn of an attack.
func LoadOrCreateHostKeys(dir string) ([]gossh.Signer, error) {
	var all []gossh.Signer
	for _, k := range hostKeys {
		path := filepath.Join(dir, k.file)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			if err := createKey(path, k.make); err != nil {
				return nil, fmt.Errorf("create host key: %w", err)
			}
		}
		key, err := loadKey(path)
		if err != nil {
			return nil, fmt.Errorf("load host key: %w", err)
		}
		all = append(all, key)
	}
	return all, nil
}

// Fingerprint is how a client shows the first of keys: "SHA256:...".
func Fingerprint(keys []gossh.Signer) string {
	return gossh.FingerprintSHA256(keys[0].PublicKey())
}

func createKey(path string, generate func() (crypto.Signer, error)) error {
	key, err := generate()
	if err != nil {
		return err
	}
	block, err := gossh.MarshalPrivateKey(key, "petitpont")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".ssh_host_*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = errors.Join(pem.Encode(f, block), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	// A link does not replace: of two processes that start together, one key wins for both.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func loadKey(path string) (gossh.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others: mode %04o, want 0600", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := gossh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if key.PublicKey().Type() != gossh.KeyAlgoRSA {
		return key, nil
	}
	// Without SHA-1 (S33).
	return gossh.NewSignerWithAlgorithms(key.(gossh.AlgorithmSigner), []string{gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256})
}
