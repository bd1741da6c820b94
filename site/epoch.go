package site

import (
	"context"
	"sync"
	"time"
)

// person is someone's epoch (RULE EPOCH): sessions minted before it grew are over.
type person struct {
	epoch   int64
	revoked chan struct{} // closed when it grows; then replaced

	who    Identity  // as the sessions of this epoch have it; without a Key while there is none
	sure   bool      // the directory said so to this process: who was read from a session otherwise
	seen   time.Time // when a door last asked
	looked time.Time // when the directory last did
}

// says notes that a session of this epoch is somebody's, and tells whether it can be: one that gives other rights than
// the directory has since is over. p.mu is held.
func (p *person) says(who Identity, now time.Time) bool {
	if p.who.Key == "" {
		p.who, p.looked = who, now
	}
	if p.sure && !sameRights(p.who, who) {
		return false
	}
	p.seen = now
	return true
}

// people are those this process has met. The store is asked once for each.
type people struct {
	mu    sync.Mutex
	known map[string]*person
}

// person loads someone. The lock is held over the store's answer, which is one read of one row.
func (v *Service) person(ctx context.Context, key string) (*person, error) {
	v.people.mu.Lock()
	defer v.people.mu.Unlock()
	if p := v.people.known[key]; p != nil {
		return p, nil
	}
	epoch, err := v.cfg.Store.Epoch(ctx, key)
	if err != nil {
		return nil, err
	}
	p := &person{epoch: epoch, revoked: make(chan struct{})}
	v.people.known[key] = p
	return p, nil
}

// Revoke ends every session the person has, on every door, and forgets the remembered password.
func (v *Service) Revoke(ctx context.Context, key string) error {
	if _, err := v.person(ctx, key); err != nil {
		return err
	}
	v.door.forget(key)
	v.people.mu.Lock()
	defer v.people.mu.Unlock()
	epoch, err := v.cfg.Store.Revoke(context.WithoutCancel(ctx), key)
	if err != nil {
		return err
	}
	p := v.people.known[key]
	close(p.revoked)
	*p = person{epoch: epoch, revoked: make(chan struct{})}
	v.cfg.Log.Info("person revoked", "key", key, "epoch", epoch)
	return nil
}

var over = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Revoked is closed when the sessions of this identity must end: at once when they already had to. Doors keep it
// beside each session, and ask again every Presence. When the store cannot tell, the session ends.
func (v *Service) Revoked(who Identity) <-chan struct{} {
	p, err := v.person(v.ctx, who.Key)
	if err != nil {
		v.cfg.Log.Error("epoch", "key", who.Key, "err", err)
		return over
	}
	v.people.mu.Lock()
	defer v.people.mu.Unlock()
	if who.Epoch != p.epoch || !p.says(who, v.cfg.Now()) {
		return over
	}
	return p.revoked
}

// RevokedSite is closed when the sessions on a site must end, as when it is deleted; at once when there is no such site.
func (v *Service) RevokedSite(id ID) <-chan struct{} {
	e := v.entry(id)
	if e == nil {
		return over
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.site.Want == Gone {
		return over
	}
	return e.revoked
}

// revoke ends the sessions on a site. e.mu is held.
func (e *entry) revoke() {
	close(e.revoked)
	e.revoked = make(chan struct{})
}
