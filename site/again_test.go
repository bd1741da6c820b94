package site_test

import (
	"context"
	"sync/atomic"
	"testing"

	"petitpont/site"
	"petitpont/site/sitetest"
)

// slowRemove is a store that holds each Remove once the row has gone.
type slowRemove struct {
	*sitetest.Store
	gone, goOn chan struct{}
}

func (s *slowRemove) Remove(ctx context.Context, id site.ID) error {
	err := s.Store.Remove(ctx, id)
	close(s.gone)
	<-s.goOn
	return err
}

// A name is free as soon as its row has gone, though the deletion is not over: who takes it then keeps it.
func TestANameGivenAgainDuringADeletion(t *testing.T) {
	var store *slowRemove
	w := newWorld(t, func(c *site.Config) {
		store = &slowRemove{c.Store.(*sitetest.Store), make(chan struct{}), make(chan struct{})}
		c.Store = store
	})
	var adds atomic.Int32
	w.store.SetFail(func(call string) error {
		if call == "add" && adds.Add(1) == 1 {
			<-store.gone
		}
		return nil
	})
	created := make(chan error, 1)
	go func() {
		_, err := w.v.Create(context.Background(), w.who("prof"), site.New{Name: "blog"})
		created <- err
	}()
	w.retry("prof has found the name free", func() bool { return adds.Load() == 1 })
	first := w.make("blog")
	w.ok(w.v.Delete(w.ctx(), w.who("eleve"), "blog", "blog"))
	w.ok(<-created)
	close(store.goOn)
	w.retry("the first is gone", func() bool { return !w.v.Knows(first.ID) })
	if s := w.until("blog", site.Awake); s.OwnerLogin != "prof" {
		t.Errorf("it is %s's", s.OwnerLogin)
	}
}
