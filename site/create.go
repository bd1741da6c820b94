package site

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"petitpont/runtime"
)

// New is what the create form says.
type New struct {
	Name  string
	Stack Stack // the zero Stack is the first of Offers
}

// result is what a turn's work came to.
type result struct {
	addr netip.AddrPort // wake only
	err  error
}

// CheckName says what a name would become and whether the person could have it: CodeNameBad{c, fix},
// CodeNameReserved{n, a}, CodeNameTaken{n, a, b}. Creating it may still be refused when somebody is quicker.
func (v *Service) CheckName(_ context.Context, who Identity, raw string) (string, error) {
	name, err := CleanName(raw)
	if err != nil {
		return "", err
	}
	if v.named(name) != nil {
		return name, v.taken(name, who)
	}
	return name, nil
}

// Suggest is a free name to fill the create form with.
func (v *Service) Suggest(who Identity) string {
	name := mend(plain(who.Login))
	if v.named(name) == nil {
		return name
	}
	return v.free(name, who, 1)[0]
}

func (v *Service) taken(name string, who Identity) *Error {
	free := v.free(name, who, 2)
	return &Error{Code: CodeNameTaken, Args: Args{"n": name, "a": free[0], "b": free[1]}}
}

// free finds n names near one that is taken.
func (v *Service) free(name string, who Identity, n int) []string {
	var found []string
	for alt := range alternatives(name, who.Login) {
		if v.named(alt) == nil && !slices.Contains(found, alt) {
			found = append(found, alt)
		}
		if len(found) == n {
			break
		}
	}
	return found
}

// Create stores the site and begins to make it; Progress shows how it goes. Quota, name and slot are one transaction.
func (v *Service) Create(ctx context.Context, who Identity, n New) (Site, error) {
	name, err := v.CheckName(ctx, who, n.Name)
	if err != nil {
		return Site{}, err
	}
	stack, err := v.stack(ctx, n.Stack)
	if err != nil {
		return Site{}, err
	}
	if err := v.room(ctx, who); err != nil {
		return Site{}, err
	}
	s, err := v.add(ctx, who, name, stack)
	if err != nil {
		return Site{}, err
	}
	e := newEntry(s)
	v.insert(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	v.kick(e)
	return e.site, nil
}

// room refuses a site that the ledger has no room for, before anything of it is made: CodeHostDisk. The driver looks
// again when it takes the room, for two may ask at once; and a ledger that cannot be read keeps nobody out here.
func (v *Service) room(ctx context.Context, who Identity) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	l, err := v.cfg.Driver.Ledger(ctx)
	if want := v.Plan(who).Limits.Disk; err != nil || l.Free >= want {
		return nil
	}
	v.cfg.Log.Error("no room for another site", "free", l.Free, "promised", l.Promised, "volume", l.Volume)
	return &Error{Code: CodeHostDisk}
}

// stack is what was chosen, if it can be had; the usual one when nothing was.
func (v *Service) stack(ctx context.Context, s Stack) (Stack, error) {
	c := v.Choices(ctx)
	if s == (Stack{}) {
		s = offers[0]
	}
	switch {
	case c.allow(s):
		return s, nil
	case AllChoices().allow(s):
		return Stack{}, &Error{Code: CodeNoTemplate, Args: Args{"t": s.Template}}
	}
	return Stack{}, &Error{Code: CodeStack}
}

func (v *Service) add(ctx context.Context, who Identity, name string, stack Stack) (Site, error) {
	plan, now := v.Plan(who), v.cfg.Now()
	if who.Key == "" || plan.Sites == 0 {
		return Site{}, &Error{Code: CodeNoRole, Args: Args{"login": who.Login}}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	var password Secret
	if stack.HasDatabase() {
		password = newSecret()
	}
	s, err := v.cfg.Store.Add(ctx, Site{
		ID: newID(), Name: name, Owner: who.Key, OwnerLogin: who.Login, Role: who.Role, Stack: stack, Password: password,
		Want: Up, State: Creating, CreatedAt: now, ChangedAt: now,
	}, plan.Sites, v.heldSlots()...)
	switch {
	case errors.Is(err, ErrQuota):
		return Site{}, &Error{Code: CodeQuota, Args: Args{"n": strconv.Itoa(plan.Sites)}}
	case errors.Is(err, ErrNameTaken):
		return Site{}, v.taken(name, who)
	}
	return s, err
}

// heldSlots are those of the containers that no site owns.
func (v *Service) heldSlots() []int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var held []int
	for _, stray := range v.strays {
		held = append(held, stray.Slot)
	}
	return held
}

// newID is 50 random bits in [a-z0-9] (RULE ARG).
func newID() ID {
	const letters = "abcdefghijklmnopqrstuvwxyz012345" // 32: each byte chooses evenly
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	for i, r := range b {
		b[i] = letters[r%byte(len(letters))]
	}
	return ID(b[:])
}

// runCreate makes the container. One that is there already was made before a crash: IDs are never given twice.
func (v *Service) runCreate(ctx context.Context, e *entry) result {
	spec := v.spec(e)
	err := v.cfg.Driver.Create(v.watch(ctx, e), spec)
	if errors.Is(err, runtime.ErrExist) {
		return result{}
	}
	if err == nil {
		e.mu.Lock()
		e.told = terms{spec.Limits, newWords(spec.Env)}
		e.mu.Unlock()
	}
	return result{err: err}
}

// finishCreate moves to asleep and asks for the first start. e.mu is held.
func (v *Service) finishCreate(e *entry, t *turn, r result) error {
	switch {
	case r.err == nil:
		e.site.MadeAt = v.cfg.Now()
		e.justMade, e.demand.wake = true, e.site.Want == Up
		v.move(e, eventMade)
		return nil
	case t.canceled || v.ctx.Err() != nil: // the row stays Creating: deleted next, or taken up again by the next Open
		return errOvertaken
	}
	return v.failTurn(e, t, r.err)
}

// failTurn is a turn's bad end: the site shows why, and the error says it to those who waited. e.mu is held.
func (v *Service) failTurn(e *entry, t *turn, err error) error {
	f := faultOf(e.site, v.plan(e.site.Role).Limits.Memory, err, v.cfg.Now().Sub(t.began))
	v.fail(e, f, err)
	return f.asError(err)
}
