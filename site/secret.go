package site

import (
	"crypto/rand"
	"log/slog"
)

// Secret is a word that must not be seen by chance: it hides from logs, from printing and from JSON (RULE VAULT).
// Only Reveal says it.
type Secret string

const hidden = "[secret]"

// Reveal is the word itself.
func (s Secret) Reveal() string { return string(s) }

// String hides it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides it from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue hides it from the log.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides it from JSON and whatever else writes text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// newSecret is 20 letters and digits, 119 random bits: nothing in it needs quoting, in a shell or in an address.
func newSecret() Secret {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const even = 256 - 256%len(letters) // bytes from here on would favour the first letters
	var word []byte
	for len(word) < 20 {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails
		for _, r := range b {
			if int(r) < even && len(word) < 20 {
				word = append(word, letters[int(r)%len(letters)])
			}
		}
	}
	return Secret(word)
}
