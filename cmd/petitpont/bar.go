package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"petitpont/runtime"
)

// bar shows the steps of a long piece of work: one moving line on a terminal, one line a step elsewhere.
type bar struct {
	w     io.Writer
	tty   bool
	now   string
	began time.Time
	line  *progressbar.ProgressBar
}

func newBar(w io.Writer) *bar {
	f, ok := w.(*os.File)
	return &bar{w: w, tty: ok && isTerminal(f)}
}

// report is told how far a build is.
func (b *bar) report(p runtime.Build) {
	b.step(stepWords[p.Step], p.Done, p.Total, p.Step != runtime.BuildTest)
}

// step is told what is being done and how much of it is done; total 0 means that nobody knows.
func (b *bar) step(name string, done, total int64, bytes bool) {
	if name != b.now {
		b.end()
		b.now, b.began = name, time.Now()
		if !b.tty {
			fmt.Fprintf(b.w, "  %s...\n", name)
			return
		}
		if total <= 0 {
			total = -1
		}
		b.line = progressbar.NewOptions64(total, progressbar.OptionSetWriter(b.w), progressbar.OptionSetDescription("  "+name),
			progressbar.OptionShowBytes(bytes), progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond))
	}
	if b.line != nil {
		_ = b.line.Set64(done)
	}
}

// end closes the step under way and says how long it took.
func (b *bar) end() {
	if b.line != nil {
		_ = b.line.Finish()
		fmt.Fprintf(b.w, " %.1f s\n", time.Since(b.began).Seconds())
		b.line = nil
	}
	b.now = ""
}
