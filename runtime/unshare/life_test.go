package unshare

import (
	"context"
	"testing"
	"time"
)

func TestLife(t *testing.T) {
	r := open(t)
	ctx := t.Context()
	s := spec(t, 1)
	s.Services = []string{"php", "nginx"}
	for range 3 {
		t0 := time.Now()
		if err := r.Create(ctx, s); err != nil {
			t.Fatal(err)
		}
		t1 := time.Now()
		a, err := r.Start(ctx, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		t2 := time.Now()
		u, err := r.Usage(ctx, s.ID)
		t.Log(a, "create", t1.Sub(t0), "start", t2.Sub(t1), u, err)
		if err := r.Stop(ctx, s.ID, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		t3 := time.Now()
		t.Log("stop", t3.Sub(t2))
		u, err = r.Usage(ctx, s.ID)
		t.Log(u, err)
		if err := r.Destroy(context.Background(), s.ID); err != nil {
			t.Fatal(err)
		}
		t.Log("destroy", time.Since(t3))
	}
}
