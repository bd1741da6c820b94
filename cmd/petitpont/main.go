// Command petitpont hosts the web sites of a school on one machine.
//
// It wires the rooms together and decides nothing itself: `runtime` is the root process with the containers,
// `serve` the unprivileged one that the world can reach, `demo` starts both with a directory of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases.
var version = "dev"

func main() {
	settle()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "petitpont:", err)
		os.Exit(1)
	}
}

// settle makes us independent of the shell that started us: modes of files are said where these are made, and a stricter
// umask would close folders that others pass through; su and cron leave the system's tools out of PATH.
func settle() {
	syscall.Umask(0o022)
	_ = os.WriteFile("/proc/self/comm", []byte("petitpont"), 0) // and not "exe", as the demo starts us
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin:/usr/bin:/bin")
}

// exitCode ends the program with a code and without a further word.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit %d", int(c)) }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "petitpont",
		Short:         "Web sites for a school: one sign-in, one button, one isolated site each.",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(demoCommand(), serveCommand(), runtimeCommand(), templateCommand(), selfcheckCommand(), directoryCommand())
	return cmd
}

// newLog writes text for a person at a terminal and JSON for a journal.
func newLog(w io.Writer) *slog.Logger {
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
