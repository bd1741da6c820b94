package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is what one probe may take. The slowest fills a disk.
const patience = 3 * time.Minute

// Main is petitpont-box probe: without a name it runs the probes its World asks for, with a name that one.
func Main(args []string) int {
	var w World
	if len(args) == 1 {
		switch args[0] {
		case "nothing":
			return 0
		case "whoami":
			fmt.Fprint(os.Stdout, unix.Geteuid())
			return 0
		}
	}
	if err := json.NewDecoder(os.Stdin).Decode(&w); err != nil {
		fmt.Fprintln(os.Stderr, "petitpont-box probe is started by petitpont selfcheck, not by hand:", err)
		return 2
	}
	if len(args) == 1 && args[0] != "all" {
		return one(args[0], w)
	}
	findings := all(w, args)
	if err := json.NewEncoder(os.Stdout).Encode(findings); err != nil {
		return 1
	}
	return 0
}

// one runs a probe here and tells what it got.
func one(name string, w World) int {
	p, ok := Find(name)
	if !ok {
		fmt.Fprintf(os.Stderr, "no probe %q\n", name)
		return 2
	}
	f := Finding{Name: name}
	got, err := p.try(w)
	f.Got = got
	if err != nil {
		f.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		return 1
	}
	return 0
}

// all runs the named probes, or each one for the user we are, each in a process of its own: some end it, some change it.
func all(w World, names []string) []Finding {
	root := unix.Geteuid() == 0
	if root {
		prepare(w)
	}
	in, err := json.Marshal(w)
	if err != nil {
		return nil
	}
	findings := []Finding{}
	for _, p := range All() {
		if p.For(root) && (len(names) < 2 || slices.Contains(names, p.Name)) {
			findings = append(findings, apart(p, in))
		}
	}
	return findings
}

func apart(p Probe, world []byte) Finding {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if p.After != nil {
		defer p.After()
	}
	var out, words bytes.Buffer
	c := exec.CommandContext(ctx, "/proc/self/exe", "probe", p.Name)
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(world), &out, &words
	c.SysProcAttr = sessionOfItsOwn
	err := c.Run()
	f := Finding{Name: p.Name}
	switch jerr := json.Unmarshal(out.Bytes(), &f); {
	case ctx.Err() != nil:
		return Finding{Name: p.Name, Err: "took too long"}
	case err == nil && jerr == nil:
		return f
	case p.Dies && died(err, words.String()):
		return Finding{Name: p.Name}
	default:
		return Finding{Name: p.Name, Err: fmt.Sprintf("%v: %s", errors.Join(err, jerr), lastWords(words.String()))}
	}
}

// died tells whether a probe of resources ended the way a limit ends it.
func died(err error, words string) bool {
	var e *exec.ExitError
	if errors.Is(err, unix.EAGAIN) || strings.Contains(words, "failed to create new OS thread") || strings.Contains(words, "resource temporarily unavailable") {
		return true
	}
	return errors.As(err, &e) && e.ProcessState.Sys().(unixStatus).Signal() == unix.SIGKILL
}

func lastWords(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s[:min(len(s), 200)]
}

// Here tries a probe in this very process, with its rights. Tests ask it as the host's root, to tell a wall from a
// kernel that was built without the thing behind it.
func Here(name string, w World) (got string, err error) {
	p, ok := Find(name)
	if !ok {
		return "", fmt.Errorf("no probe %q", name)
	}
	return p.try(w)
}

// prepare leaves a setuid copy of this program for the user's turn.
func prepare(w World) {
	if w.Prepared == "" {
		return
	}
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil || os.WriteFile(w.Prepared, b, 0o755) != nil {
		return
	}
	_ = os.Chmod(w.Prepared, 0o755|os.ModeSetuid)
}
