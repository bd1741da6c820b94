package site

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"sync"
	"time"
)

// A place is forgotten a month after the last right password there; it is written again once a day at most.
const (
	placeKept  = 30 * 24 * time.Hour
	placeNoted = 24 * time.Hour
)

// places are where each login's password was right before. They are known by a digest, so that the register does not show
// who was where; whoever has a copy of it can find out only by trying every address for a login.
type places struct {
	mu   sync.Mutex
	seen map[string]time.Time // by placeOf
}

// placeOf is a login at a place.
func placeOf(login, source string) string {
	sum := sha256.Sum256([]byte(folded(login) + "\x00" + source))
	return hex.EncodeToString(sum[:16])
}

// known tells whether a password was right there lately.
func (p *places) known(place string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.seen[place]
	return ok && now.Sub(at) < placeKept
}

// note remembers a place; worth tells whether the register should too.
func (p *places) note(place string, now time.Time) (worth bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.seen[place]
	if worth = !ok || now.Sub(at) >= placeNoted; worth {
		maps.DeleteFunc(p.seen, func(_ string, at time.Time) bool { return now.Sub(at) >= placeKept })
		p.seen[place] = now
	}
	return worth
}

// takePlaces reads what earlier processes knew.
func (v *Service) takePlaces(ctx context.Context) error {
	seen, err := v.cfg.Store.Places(ctx, v.cfg.Now().Add(-placeKept))
	if err != nil {
		return err
	}
	v.door.places.mu.Lock()
	defer v.door.places.mu.Unlock()
	v.door.places.seen = seen
	return nil
}

// noteRight remembers where a login's password was right. That it cannot be stored keeps nobody out.
func (v *Service) noteRight(ctx context.Context, place string) {
	now := v.cfg.Now()
	if !v.door.places.note(place, now) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := v.cfg.Store.SetPlace(ctx, place, now, now.Add(-placeKept)); err != nil {
		v.cfg.Log.Warn("remember where somebody signed in", "err", err)
	}
}
