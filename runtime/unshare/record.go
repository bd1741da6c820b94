package unshare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"petitpont/runtime"
)

// record is D/sites/ID/spec.json: what Create was asked for, with every default filled in, and the template version
// it is pinned to (RULE PIN: an overlay's lower layer must never change).
type record struct {
	Spec    runtime.Spec `json:"spec"`
	Version string       `json:"version"`
	MadeAt  time.Time    `json:"madeAt"`
	Ballast int64        `json:"ballast,omitempty"` // inodes of the disk that the site shall not have
	Fitting bool         `json:"fitting,omitempty"` // there may be more ballast or less: it is being changed, or was when we ended
	Trial   bool         `json:"trial,omitempty"`   // thrown away after a test of its template
}

func (d *Driver) writeRecord(dir string, r record) error {
	if err := writeJSON(filepath.Join(dir, "spec.json"), r, true); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// load reads every record. What a killed Create left under its temporary name is removed.
func (d *Driver) load() error {
	entries, err := os.ReadDir(d.sitesDir())
	if err != nil {
		return fmt.Errorf("read sites: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			if err := os.RemoveAll(filepath.Join(d.sitesDir(), e.Name())); err != nil {
				return fmt.Errorf("remove leftover: %w", err)
			}
			continue
		}
		var r record
		if err := readJSON(filepath.Join(d.siteDir(e.Name()), "spec.json"), &r); err != nil || r.Spec.ID != e.Name() || !idForm.MatchString(r.Spec.ID) {
			d.Log.Error("site without a readable record is left alone", "folder", e.Name(), "error", err)
			continue
		}
		if r.Trial { // its test was killed; what still runs of it belongs to nobody now
			if err := os.RemoveAll(d.siteDir(r.Spec.ID)); err != nil {
				return fmt.Errorf("remove throw-away site: %w", err)
			}
			continue
		}
		d.sites[r.Spec.ID] = &container{record: r, made: true}
	}
	return nil
}

// writeJSON replaces path in one step (RULE ATOMIC). durable also waits for the disk.
func writeJSON(path string, v any, durable bool) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if durable {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	if durable {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
