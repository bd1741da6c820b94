package site

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Registry is a Directory that can be asked about people without their passwords, so that who has lost their place at the
// school loses their sessions too (RULE EPOCH).
type Registry interface {
	// Again says, in the same order, who these people are now, by their login. Whoever would not be let in today whatever
	// the password is the zero Identity: not found, found twice, without a role. An error says nothing of any of them.
	Again(ctx context.Context, people []Identity) ([]Identity, error)
}

const (
	// Presence is how often a door asks Revoked for as long as it holds a session open. Who is not asked about is not
	// looked up again.
	Presence = time.Minute
	// present is how long somebody counts as being here after a door has asked about them.
	present = 5 * time.Minute
	// questions is how many people are looked up in one conversation with the directory: some four searches each.
	questions = 20
	// round is how many are looked up in one round. Of more than that, those who have waited longest come first.
	round = 10 * questions
)

func (v *Service) lookAgainEvery() {
	tick := time.NewTicker(v.cfg.Again)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.lookAgain(v.ctx)
		case <-v.ctx.Done():
			return
		}
	}
}

// lookAgain asks the directory about those who are here, and revokes whoever is somebody else now or nobody. When the
// directory cannot be asked, or answers no more, everybody stays: its failure signs nobody out.
func (v *Service) lookAgain(ctx context.Context) {
	registry, ok := v.cfg.Directory.(Registry)
	if !ok {
		return
	}
	for some := range slices.Chunk(v.people.here(v.cfg.Now(), round), questions) {
		now, err := registry.Again(ctx, some)
		if err != nil {
			if ctx.Err() == nil {
				v.cfg.Log.Warn("look again at who is signed in", "err", err)
			}
			return
		}
		for i, who := range some {
			v.judge(ctx, who, now[i])
		}
	}
}

// judge ends the sessions of who unless the directory still says the same of them.
func (v *Service) judge(ctx context.Context, who, now Identity) {
	if v.people.confirm(who, now, v.cfg.Now()) {
		return
	}
	v.cfg.Log.Info("the directory has changed its mind", "login", who.Login, "found", now.Key == who.Key, "was", who.Role, "is", now.Role)
	if err := v.Revoke(ctx, who.Key); err != nil {
		v.cfg.Log.Error("revoke", "login", who.Login, "err", err)
	}
}

// sameRights tells whether two identities are one person who may do the same.
func sameRights(a, b Identity) bool { return a.Key == b.Key && a.Role == b.Role && a.Admin == b.Admin }

// here lists at most so many people about whom a door has asked lately, those first who were looked up longest ago.
func (p *people) here(now time.Time, most int) []Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*person
	for _, one := range p.known {
		if one.who.Key != "" && now.Sub(one.seen) < present {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b *person) int {
		return cmp.Or(a.looked.Compare(b.looked), cmp.Compare(a.who.Key, b.who.Key))
	})
	var who []Identity
	for _, one := range all[:min(most, len(all))] {
		who = append(who, one.who)
	}
	return who
}

// confirm notes that who was looked up, and tells whether they are still the same. Who was revoked or signed in anew since
// the question was asked is not judged by its answer.
func (p *people) confirm(who, now Identity, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.known[who.Key]
	if one == nil || one.who != who {
		return true
	}
	one.looked = at
	one.sure = sameRights(who, now)
	return one.sure
}
