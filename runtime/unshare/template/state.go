package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"petitpont/runtime"
)

// State is state.json of a version: how far it is in its life.
type State struct {
	Published bool      `json:"published"`
	TestedAt  time.Time `json:"testedAt,omitzero"` // when it passed
	Fault     string    `json:"fault,omitempty"`   // why it did not the last time
}

// ReadState returns the state of a version. One without state.json is from when building published.
func ReadState(dir, name, version string) (State, error) {
	s := State{}
	b, err := os.ReadFile(filepath.Join(dir, name, version, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return State{Published: true}, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, fmt.Errorf("template %s@%s: %w", name, version, err)
	}
	return s, nil
}

// WriteState replaces the state of a version in one step. Callers serialise changes of one version.
func WriteState(dir, name, version string, s State) error {
	if _, err := Read(dir, name, version); err != nil {
		return err
	}
	return writeState(filepath.Join(dir, name, version), s)
}

func writeState(path string, s State) error {
	file := filepath.Join(path, "state.json")
	if err := writeJSON(file+".new", s); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return syncDir(path)
}

// Publish lets new sites be made of a version. It does not ask whether it has been tested: its caller does.
func Publish(dir, name, version string) error {
	s, err := ReadState(dir, name, version)
	if err != nil || s.Published {
		return err
	}
	s.Published = true
	return WriteState(dir, name, version, s)
}

// Remove takes a version away: out of sight in one step, then from the disk. The caller knows that nobody is pinned to it.
func Remove(dir, name, version string) error {
	if _, err := Read(dir, name, version); errors.Is(err, runtime.ErrNoTemplate) {
		return nil
	} else if err != nil {
		return err
	}
	grave, err := os.MkdirTemp(dir, retired+name+"-")
	if err != nil {
		return fmt.Errorf("retire: %w", err)
	}
	if err := os.Rename(filepath.Join(dir, name, version), filepath.Join(grave, version)); err != nil {
		return fmt.Errorf("retire: %w", errors.Join(err, os.Remove(grave)))
	}
	return errors.Join(syncDir(filepath.Join(dir, name)), os.RemoveAll(grave))
}

// writeJSON writes a file and waits for the disk.
func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}
