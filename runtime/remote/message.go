package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"petitpont/runtime"
)

// request is the first line of a connection. Call names the method; the rest are its arguments.
type request struct {
	V      int             `json:"v"`
	Call   string          `json:"call"`
	ID     string          `json:"id,omitempty"`
	Spec   *runtime.Spec   `json:"spec,omitempty"`
	Limits *runtime.Limits `json:"limits,omitempty"`
	Env    []string        `json:"env,omitempty"`
	Grace  time.Duration   `json:"grace,omitempty"` // nanoseconds
	Port   uint16          `json:"port,omitempty"`
	Cmd    *command        `json:"cmd,omitempty"`

	Template string `json:"template,omitempty"` // of the Keeper's calls
	Version  string `json:"version,omitempty"`  // of a template
}

// command is runtime.Cmd in bytes: file names and arguments need not be UTF-8, and JSON would mend them silently.
type command struct {
	Argv [][]byte `json:"argv"`
	Env  [][]byte `json:"env,omitempty"`
	Dir  []byte   `json:"dir,omitempty"`
	Root bool     `json:"root,omitempty"`
	TTY  bool     `json:"tty,omitempty"`
	Rows uint16   `json:"rows,omitempty"`
	Cols uint16   `json:"cols,omitempty"`
}

// control is a line of the client after the answer to an Exec.
type control struct {
	Rows   uint16 `json:"rows,omitempty"`
	Cols   uint16 `json:"cols,omitempty"`
	Hangup bool   `json:"hangup,omitempty"`
}

// answer is a line of the server: a report (Step, Build, Exit) or, with Done, the result of the call.
type answer struct {
	V         int                `json:"v"`
	Done      bool               `json:"done,omitempty"`
	Step      runtime.Step       `json:"step,omitempty"`
	Exit      *exit              `json:"exit,omitempty"`
	Err       *failure           `json:"err,omitempty"`
	Refused   *failure           `json:"refused,omitempty"` // of a control line; nil: it was done
	Addr      netip.AddrPort     `json:"addr,omitzero"`
	List      []runtime.Info     `json:"list,omitempty"`
	Usage     *runtime.Usage     `json:"usage,omitempty"`
	Ledger    *runtime.Ledger    `json:"ledger,omitempty"`
	Strays    []runtime.Stray    `json:"strays,omitempty"`
	Templates []runtime.Template `json:"templates,omitempty"`
	Build     *runtime.Build     `json:"build,omitempty"`    // a report
	Versions  []runtime.Version  `json:"versions,omitempty"` // of templates
	Files     int                `json:"files,omitempty"`    // descriptors sent beside this line
	Lent      bool               `json:"lent,omitempty"`     // what was opened ends with this connection
	Code      int                `json:"code,omitempty"`
}

// exit is runtime.Exit; its log is the tenant's and need not be UTF-8.
type exit struct {
	ID  string    `json:"id"`
	At  time.Time `json:"at"`
	OOM bool      `json:"oom,omitempty"`
	Log []byte    `json:"log,omitempty"`
}

// parse reads one line strictly: the right version, then known fields only, and nothing behind it.
func parse(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errGarbled, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one value on a line", errGarbled)
	}
	return nil
}

var errGarbled = errors.New("garbled message")

// checkVersion looks at the version alone, so that the lines of any other release can still be told apart from noise.
func checkVersion(line []byte) error {
	var m struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return fmt.Errorf("%w: %w", errGarbled, err)
	}
	if m.V != Version {
		return fmt.Errorf("%w: it speaks %d, this side speaks %d", ErrVersion, m.V, Version)
	}
	return nil
}

func parseRequest(line []byte) (request, error) {
	var q request
	if err := checkVersion(line); err != nil {
		return q, err
	}
	err := parse(line, &q)
	return q, err
}

func parseAnswer(line []byte) (answer, error) {
	var a answer
	if err := checkVersion(line); err != nil {
		return a, err
	}
	err := parse(line, &a)
	return a, err
}

func packCommand(c runtime.Cmd) *command {
	return &command{
		Argv: pack(c.Argv), Env: pack(c.Env), Dir: []byte(c.Dir),
		Root: c.Root, TTY: c.TTY, Rows: c.Rows, Cols: c.Cols,
	}
}

func (c *command) unpack() runtime.Cmd {
	return runtime.Cmd{
		Argv: unpack(c.Argv), Env: unpack(c.Env), Dir: string(c.Dir),
		Root: c.Root, TTY: c.TTY, Rows: c.Rows, Cols: c.Cols,
	}
}

func pack(in []string) [][]byte {
	out := make([][]byte, len(in))
	for i, s := range in {
		out[i] = []byte(s)
	}
	return out
}

func unpack(in [][]byte) []string {
	out := make([]string, len(in))
	for i, b := range in {
		out[i] = string(b)
	}
	return out
}

func packExit(e runtime.Exit) *exit {
	return &exit{ID: e.ID, At: e.At, OOM: e.OOM, Log: tail(e.Log, maxLog)}
}

func (e *exit) unpack() runtime.Exit {
	return runtime.Exit{ID: e.ID, At: e.At, OOM: e.OOM, Log: string(e.Log)}
}

// tail keeps the last n bytes: of a log, the end tells more than the beginning.
func tail(s string, n int) []byte {
	if len(s) > n {
		s = s[len(s)-n:]
	}
	return []byte(s)
}
