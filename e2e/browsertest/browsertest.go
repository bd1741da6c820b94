// Package browsertest gives tests a real Chromium that leaves nothing behind.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// Open starts a Chromium of the test's own, without a window, and returns the context of its tab, at about:blank. It
// ends with the test. Options come after ours, so they win.
func Open(t testing.TB, options ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("this test drives Chromium: install the package chromium")
	}
	// The profile is left to chromedp: it waits for the browser's other processes before it removes it, where a folder
	// of ours would be written to again while it is removed, or after.
	all := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Env("TMPDIR="+scratch(t)),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "en"), chromedp.Flag("accept-lang", "en"))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(all, options...)...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Log("close the browser:", err)
		}
		cancel()
	})
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal("start the browser:", err)
	}
	return ctx
}

// scratch is where Chromium puts the socket that keeps a second one away, which stays when it is killed. It is no
// t.TempDir, whose name is the test's: a socket's may have 108 bytes (unix(7)).
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
