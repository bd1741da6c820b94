package selfcheck

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// FileName is where the last report stands in the data folder, readable by the panel.
const FileName = "selfcheck.json"

// Save puts the report into the data folder, whole or not at all.
func (r Report) Save(dir string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+FileName+"-")
	if err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(append(b, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, FileName))
	}
	if err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	return nil
}

// Table writes the report for a person: each probe, how it ended for root and for the site's user, and what holds it.
func (r Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROBE\tROOT\tWEB USER\tVERDICT\tPROTECTED BY")
	for _, l := range r.Probes {
		verdict := "ok"
		if l.Red() {
			verdict = "RED"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Name, word(l.Root), word(l.Web), verdict, strings.Join(append([]string{l.Protection}, l.Also...), ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range r.Probes {
		if l.Red() {
			fmt.Fprintf(w, "\n%s (%s): %s\n", l.Name, l.About, l.Got())
		}
	}
	_, err := fmt.Fprintf(w, "\n%d of %d probes blocked, kernel %s\n", r.held(), len(r.Probes), r.Kernel)
	return err
}

func word(s string) string {
	if s == Untried {
		return "-"
	}
	return s
}

func (r Report) held() (n int) {
	for _, l := range r.Probes {
		if !l.Red() {
			n++
		}
	}
	return n
}
