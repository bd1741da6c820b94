package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Selfcheck is what `petitpont selfcheck` found last: attacks tried from inside a throw-away site.
type Selfcheck struct {
	Time    time.Time // zero when it does not say
	Version string
	OK      bool
	Probes  []Probe
}

// Probe is one attack, as the container's root and as the web server's user: "blocked", "open",
// "error", or "" where it makes no sense.
type Probe struct {
	Name       string `json:"name"`
	About      string `json:"about"`
	Protection string `json:"protection"`
	Root       string `json:"root"`
	Web        string `json:"web"`
	RootGot    string `json:"root_got"` // what it got, or why it could not be tried
	WebGot     string `json:"web_got"`
}

// maxReport is more than any report is long.
const maxReport = 1 << 20

// readSelfcheck reads the last report; nil when there is none. One of another version may say more or less: what is
// there is taken.
func readSelfcheck(path string) (*Selfcheck, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read selfcheck: %w", err)
	}
	defer func() { _ = f.Close() }()
	var said struct {
		Time    string            `json:"time"`
		Version string            `json:"version"`
		OK      bool              `json:"ok"`
		Probes  []json.RawMessage `json:"probes"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxReport)).Decode(&said); err != nil {
		return nil, fmt.Errorf("read selfcheck: %w", err)
	}
	c := &Selfcheck{Version: said.Version, OK: said.OK}
	c.Time, _ = time.Parse(time.RFC3339, said.Time)
	for _, raw := range said.Probes {
		var p Probe
		if json.Unmarshal(raw, &p) == nil && p.Name != "" {
			c.Probes = append(c.Probes, p)
		}
	}
	return c, nil
}
