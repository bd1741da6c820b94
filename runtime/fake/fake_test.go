package fake_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"petitpont/runtime"
	"petitpont/runtime/drivertest"
	"petitpont/runtime/fake"
)

var serial atomic.Int64

func spec(slot int) runtime.Spec {
	return runtime.Spec{
		ID: fmt.Sprintf("fake%06d", serial.Add(1)), Template: "web", Slot: slot,
		Segment: "student", Hostname: "blog", Services: []string{"nginx", "php-fpm"},
	}
}

func open(t *testing.T) *fake.Driver {
	t.Helper()
	d := fake.New(t.TempDir())
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDriver(t *testing.T) {
	drivertest.Test(t, func(t *testing.T) drivertest.Rig {
		d := open(t)
		return drivertest.Rig{
			Driver: d, Spec: spec, HTTP: true, Files: true,
			Kill: func(_ *testing.T, id string) { d.Kill(id) },
		}
	})
}

func TestScript(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	t.Run("a held step waits for its release", func(t *testing.T) {
		d, s := open(t), spec(1)
		if err := d.Create(ctx, s); err != nil {
			t.Fatal(err)
		}
		release := d.Hold("start.answer")
		started := make(chan error, 1)
		go func() { _, err := d.Start(ctx, s.ID); started <- err }()
		if err := d.Await(ctx, "start.answer", 1); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-started:
			t.Fatalf("it went on: %v", err)
		default:
		}
		release()
		if err := <-started; err != nil || d.Starts(s.ID) != 1 {
			t.Fatalf("%v after %d starts", err, d.Starts(s.ID))
		}
	})
	t.Run("a failing step fails until told otherwise", func(t *testing.T) {
		d, s := open(t), spec(1)
		boom := errors.New("boom")
		d.Fail("create.disk", boom)
		if err := d.Create(ctx, s); !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
		d.Fail("create.disk", nil)
		if err := d.Create(ctx, s); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a slow reader of exits loses the oldest", func(t *testing.T) {
		d, s := open(t), spec(1)
		if err := d.Create(ctx, s); err != nil {
			t.Fatal(err)
		}
		exits := d.Exits(ctx)
		for n := range 20 {
			if _, err := d.Start(ctx, s.ID); err != nil {
				t.Fatal(err)
			}
			d.KillWith(runtime.Exit{ID: s.ID, Log: fmt.Sprint(n)})
		}
		if first := <-exits; first.Log != "4" {
			t.Errorf("the oldest kept is %s, want 4", first.Log)
		}
	})
}
