package site

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"
)

// What a form may hold at most, in bytes: nothing longer is a login or a password of a directory.
const (
	loginMost    = 256
	passwordMost = 1024
)

// loginDoor is the one way to an Identity (RULE ID), shared by all doors.
type loginDoor struct {
	limits Throttle
	tries  tries
	binds  *rate.Limiter // protects the directory
	secret [32]byte      // of this process only
	lanes  lanes
	places places

	mu    sync.Mutex
	known map[string]proof // by login as typed, small letters
}

// proof remembers that a password was right: a keyed digest, in memory only.
type proof struct {
	digest [sha256.Size]byte
	who    Identity
	until  time.Time
}

func newLoginDoor(cfg Config) *loginDoor {
	d := &loginDoor{
		limits: cfg.Login,
		tries:  tries{within: cfg.Login.Within, at: map[string][]time.Time{}},
		binds:  rate.NewLimiter(rate.Limit(cfg.Login.Binds), cfg.Login.Burst),
		lanes:  lanes{busy: map[[sha256.Size]byte]chan struct{}{}},
		places: places{seen: map[string]time.Time{}},
		known:  map[string]proof{},
	}
	_, _ = rand.Read(d.secret[:]) // never fails
	return d
}

// Login lets a person prove who they are. Everything after carries the Identity it returns; the login as typed is
// dropped here (RULE ID). CodeWrongPassword says the same for an unknown login; CodeTooManyTries carries s, the seconds
// to wait. A directory that cannot answer is no failed try.
func (v *Service) Login(ctx context.Context, login, password string, from netip.Addr) (Identity, error) {
	login = strings.TrimSpace(login)
	if !askable(login, loginMost) || !askable(password, passwordMost) {
		return Identity{}, &Error{Code: CodeWrongPassword} // an empty password is an anonymous bind: never asked
	}
	digest := v.door.digest(login, password)
	leave, err := v.door.lanes.enter(ctx, digest)
	if err != nil {
		return Identity{}, err
	}
	defer leave()
	place := placeOf(login, source(from))
	now := v.cfg.Now()
	keys := v.door.keys(login, from, v.door.places.known(place, now))
	if wait := v.door.tries.take(now, keys); wait > 0 {
		return Identity{}, tooMany(wait)
	}
	who, err := v.prove(ctx, login, password, digest)
	if !wrongPassword(err) {
		v.door.tries.give(now, keys)
	}
	if err != nil {
		return Identity{}, err
	}
	v.noteRight(ctx, place)
	return v.mint(ctx, who)
}

func askable(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// keys are what a try counts for. At a place where it is known, a login is counted alone: neither what strangers try
// elsewhere nor what others try at its own place keeps its owner out.
func (d *loginDoor) keys(login string, from netip.Addr, known bool) map[string]int {
	place := source(from)
	keys := map[string]int{"login " + folded(login) + " " + place: d.limits.Tries}
	if !known {
		keys["place "+place] = d.limits.Spray
		keys["anywhere "+folded(login)] = d.limits.Anywhere
	}
	return keys
}

// folded is one form for all spellings that a directory may take for the same login: it ignores case, width, accents,
// spaces and what cannot be seen (RFC 4518). Two people it takes for one only share their tries.
func folded(login string) string {
	unseen := func(r rune) rune {
		if unicode.In(r, unicode.Z, unicode.C, unicode.M) {
			return -1
		}
		return r
	}
	return strings.Map(unseen, plain(strings.ToUpper(login))) // upper first: some letters have two small forms
}

func tooMany(wait time.Duration) *Error {
	s := int(math.Ceil(wait.Seconds()))
	return &Error{Code: CodeTooManyTries, Args: Args{"s": strconv.Itoa(max(1, s))}}
}

func wrongPassword(err error) bool { return isCode(err, CodeWrongPassword) }

// prove asks the directory, unless the same password was right a moment ago: SFTP clients open many connections.
func (v *Service) prove(ctx context.Context, login, password string, digest [sha256.Size]byte) (Identity, error) {
	key := strings.ToLower(login)
	if who, ok := v.door.recall(key, digest, v.cfg.Now()); ok {
		return who, nil
	}
	if err := v.door.spend(ctx); err != nil {
		return Identity{}, err
	}
	who, err := v.cfg.Directory.Authenticate(ctx, login, password)
	switch {
	case wrongPassword(err):
		v.door.drop(key)
		return Identity{}, err
	case err != nil:
		return Identity{}, err
	case who.Key == "" || who.Login == "":
		return Identity{}, &Error{Code: CodeDirectoryDeny, Err: errors.New("entry without a key or a login")}
	}
	v.door.remember(key, proof{digest, who, v.cfg.Now().Add(v.door.limits.Remember)}, v.cfg.Now())
	return who, nil
}

// mint gives the identity its epoch, and refuses a role that may have nothing. Sessions that were opened with other rights
// end here.
func (v *Service) mint(ctx context.Context, who Identity) (Identity, error) {
	if v.Plan(who).Sites == 0 && !who.Admin {
		return Identity{}, &Error{Code: CodeNoRole, Args: Args{"login": who.Login}}
	}
	p, err := v.person(ctx, who.Key)
	if err != nil {
		return Identity{}, err
	}
	if v.people.others(p, who) {
		if err := v.Revoke(ctx, who.Key); err != nil {
			return Identity{}, err
		}
	}
	v.people.mu.Lock()
	defer v.people.mu.Unlock()
	who.Epoch = p.epoch
	now := v.cfg.Now()
	p.who, p.sure, p.seen, p.looked = who, true, now, now
	return who, nil
}

// others tells whether there may be sessions of p with other rights than who has.
func (p *people) others(one *person, who Identity) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return one.who.Key != "" && !sameRights(one.who, who)
}

// spend takes one question from the budget, and waits for it only as long as a person would not notice.
func (d *loginDoor) spend(ctx context.Context) error {
	r := d.binds.Reserve()
	wait := r.Delay()
	if wait > time.Second {
		r.Cancel()
		return tooMany(wait)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		r.Cancel()
		return ctx.Err()
	}
}

func (d *loginDoor) digest(login, password string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, d.secret[:])
	h.Write([]byte(strings.ToLower(login)))
	h.Write([]byte{0})
	h.Write([]byte(password))
	h.Sum(sum[:0])
	return sum
}

func (d *loginDoor) recall(key string, digest [sha256.Size]byte, now time.Time) (Identity, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.known[key]
	if !ok || !now.Before(p.until) || !hmac.Equal(p.digest[:], digest[:]) {
		return Identity{}, false
	}
	return p.who, true
}

func (d *loginDoor) remember(key string, p proof, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, old := range d.known {
		if !now.Before(old.until) {
			delete(d.known, k)
		}
	}
	d.known[key] = p
}

func (d *loginDoor) drop(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, key)
}

// forget drops what is remembered of a person, under whatever login they typed.
func (d *loginDoor) forget(person string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, p := range d.known {
		if p.who.Key == person {
			delete(d.known, k)
		}
	}
}
