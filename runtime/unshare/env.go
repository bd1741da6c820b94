package unshare

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"petitpont/runtime"
)

// SetEnv writes the record; the next start reads it.
func (d *Driver) SetEnv(_ context.Context, id string, env []string) error {
	c, err := d.find(id)
	if err != nil {
		return err
	}
	defer d.leave(c)
	if err := checkEnv(env); err != nil {
		return fmt.Errorf("environment of %s: %w", id, err)
	}
	if slices.Equal(env, c.record.Spec.Env) {
		return nil
	}
	r := c.record
	r.Spec.Env = slices.Clone(env)
	if err := d.replaceRecord(c, r); err != nil {
		return fmt.Errorf("environment of %s: %w", id, err)
	}
	return nil
}

func checkEnv(env []string) error {
	if len(strings.Join(env, " ")) > maxEnv {
		return fmt.Errorf("%w: an environment of more than %d bytes", runtime.ErrInvalid, maxEnv)
	}
	for _, e := range env {
		if !envForm.MatchString(e) || strings.ContainsRune(e, 0) {
			return fmt.Errorf("%w: environment %.20q", runtime.ErrInvalid, e)
		}
	}
	return nil
}

// digest stands for an environment where its secrets have no business.
func digest(env []string) string {
	sum := sha256.Sum256([]byte(strings.Join(env, "\x00")))
	return hex.EncodeToString(sum[:])
}

// waits tells that a running box would be started otherwise now. One that an earlier version started did not say how.
func (b *box) waits(s runtime.Spec) bool {
	return b.state.Env != "" && b.state.Env != digest(s.Env)
}
