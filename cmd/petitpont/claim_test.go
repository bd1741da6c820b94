package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ended is a ctx that leaves no time to wait.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestAFolderHasOneRuntime(t *testing.T) {
	here, there, run := t.TempDir(), t.TempDir(), t.TempDir()
	first, err := claim(ended(), Config{Data: here, Run: run}, "runtime")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"the same folders":          {Data: here, Run: run},
		"the same disks":            {Data: here, Run: t.TempDir()},
		"the same label, elsewhere": {Data: there, Run: run},
	} {
		if _, err := claim(ended(), c, "runtime"); !errors.Is(err, errClaimed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if held, err := claim(ended(), Config{Data: there, Run: t.TempDir()}, "runtime"); err != nil {
		t.Errorf("a refused claim kept the folder it could have: %v", err)
	} else {
		held.release()
	}
	if held, err := claim(ended(), Config{Data: here, Run: run}, "demo"); err != nil {
		t.Errorf("another role: %v", err)
	} else {
		held.release()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	time.AfterFunc(50*time.Millisecond, first.release)
	second, err := claim(ctx, Config{Data: here, Run: run}, "runtime")
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	second.release()
}

// Who waits while a demo gives its folders up, and removes them, must not get what nobody else would look at.
func TestAClaimThatIsForgottenIsNobodys(t *testing.T) {
	c := Config{Data: t.TempDir(), Run: t.TempDir()}
	first, err := claim(ended(), c, "demo")
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := os.OpenFile(filepath.Join(c.Data, "demo.lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	first.forget()
	if err := lock(ended(), waiting); err != nil || stands(waiting) {
		t.Errorf("%v: the lock of a file that has gone passes for one", err)
	}
	defer func() { _ = waiting.Close() }()
	second, err := claim(ended(), c, "demo")
	if err != nil {
		t.Fatal(err)
	}
	defer second.release()
	if _, err := claim(ended(), c, "demo"); !errors.Is(err, errClaimed) {
		t.Errorf("two have it: %v", err)
	}
}

func TestAClaimWaitsThroughAForgottenOne(t *testing.T) {
	c := Config{Data: t.TempDir(), Run: t.TempDir()}
	first, err := claim(ended(), c, "demo")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	time.AfterFunc(50*time.Millisecond, first.forget)
	second, err := claim(ctx, c, "demo")
	if err != nil {
		t.Fatal(err)
	}
	defer second.release()
	for _, f := range second {
		if !stands(f) {
			t.Errorf("%s has gone", f.Name())
		}
	}
}
