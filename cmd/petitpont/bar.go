package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"petitpont/runtime"
)

// shares are the parts of a whole build that its steps take, in hundredths: what a build on a small machine showed.
var shares = []struct {
	step  runtime.BuildStep
	share int64
}{
	{runtime.BuildLists, 4},
	{runtime.BuildDownload, 6},
	{runtime.BuildUnpack, 12},
	{runtime.BuildInstall, 46},
	{runtime.BuildSetUp, 10},
	{runtime.BuildClean, 4},
	{runtime.BuildWrite, 6},
	{runtime.BuildTest, 12},
}

// bar shows a long piece of work: on a terminal a line for each step that is done, with its size and time, and below
// them a bar for the whole; elsewhere a line a step.
type bar struct {
	w     io.Writer
	tty   bool
	step  runtime.BuildStep
	bytes int64 // of the step under way
	began time.Time
	line  *progressbar.ProgressBar
}

func newBar(w io.Writer) *bar {
	f, ok := w.(*os.File)
	b := &bar{w: w, tty: ok && isTerminal(f)}
	if b.tty {
		b.line = progressbar.NewOptions64(100, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(32),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return b
}

// report is told how far a build is.
func (b *bar) report(p runtime.Build) {
	if p.Step != b.step {
		b.finish()
		b.step, b.bytes, b.began = p.Step, 0, time.Now()
		if !b.tty {
			fmt.Fprintf(b.w, "  %s...\n", stepWords[p.Step])
		}
	}
	b.bytes = max(b.bytes, p.Done)
	if b.tty {
		b.line.Describe(fmt.Sprintf("  %-34s", stepWords[p.Step]+megabytes(b.bytes)))
		_ = b.line.Set64(position(p))
	}
}

// position is where in the whole a build stands.
func position(p runtime.Build) int64 {
	var at int64
	for _, s := range shares {
		if s.step == p.Step {
			if p.Total > 0 {
				at += s.share * min(p.Done, p.Total) / p.Total
			}
			return at
		}
		at += s.share
	}
	return at
}

// finish writes the line of the step that is done.
func (b *bar) finish() {
	if b.step == "" || !b.tty {
		return
	}
	_ = b.line.Clear()
	fmt.Fprintf(b.w, "  %-34s%5.1f s\n", stepWords[b.step]+megabytes(b.bytes), time.Since(b.began).Seconds())
}

// end finishes the last step and takes the bar away.
func (b *bar) end() {
	b.finish()
	b.step = ""
	if b.line != nil {
		_ = b.line.Finish()
	}
}

func megabytes(bytes int64) string {
	if bytes < 1<<20 {
		return ""
	}
	return fmt.Sprintf(", %d MB", bytes>>20)
}
