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

// Table writes the report for a person, 80 columns wide: each probe, how it ended for root and for the site's user, and
// what holds it, with the number of walls that stand behind. Below it stands what the red ones got.
func (r Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROBE\tROOT\tWEB\tPROTECTED BY")
	for _, l := range r.Probes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Name, word(l.Root), word(l.Web), held(l))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range r.Probes {
		if l.Red() {
			fmt.Fprintf(w, "\nRED: %s (%s)\n  %s\n", l.Name, l.About, strings.Join(l.said(), "\n  "))
		}
	}
	_, err := fmt.Fprintf(w, "\n%d of %d probes blocked, kernel %s\n", r.held(), len(r.Probes), r.Kernel)
	return err
}

// word is how it ended: what somebody has to look at stands out.
func word(s string) string {
	if s == Untried {
		return "-"
	}
	if red(s) {
		return strings.ToUpper(s)
	}
	return s
}

func held(l Line) string {
	if len(l.Also) == 0 {
		return l.Protection
	}
	return fmt.Sprintf("%s +%d", l.Protection, len(l.Also))
}

// said is what the attack got, or why it could not be tried, as each of the two.
func (l Line) said() (all []string) {
	for _, s := range [][3]string{{"root", l.Root, l.RootGot}, {"web", l.Web, l.WebGot}} {
		if red(s[1]) {
			all = append(all, s[0]+", "+s[1]+": "+s[2])
		}
	}
	return all
}

func (r Report) held() (n int) {
	for _, l := range r.Probes {
		if !l.Red() {
			n++
		}
	}
	return n
}
