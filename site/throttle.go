package site

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Throttle holds off password guessing (RULE SECRET). One counts for all doors. Zero fields take the defaults.
//
// Guesses at one login are counted over all places together, so that many addresses guess no more than one does. Else a
// stranger could lock its owner out: a place where the login's password was right before is known for a month, and is
// counted alone. Failures are kept in memory: a restart forgives the last minutes, and nobody who fails writes to the
// register. Known places are in the register, for without them a restart would lock out whoever is being guessed at.
type Throttle struct {
	Tries    int           // wrong passwords for one login from one source; 5
	Anywhere int           // wrong passwords for one login from all sources that it is not known at; 10
	Spray    int           // wrong passwords from one source for logins not known there: a classroom shares an address; 100
	Within   time.Duration // in so long; 10 min
	Binds    float64       // questions to the directory per second, over all; 20
	Burst    int           // at once; 40
	Remember time.Duration // a right password is not asked again for so long; 60 s
}

func (t Throttle) withDefaults() Throttle {
	t.Tries = orDefault(t.Tries, 5)
	t.Anywhere = orDefault(t.Anywhere, 10)
	t.Spray = orDefault(t.Spray, 100)
	t.Within = orDefault(t.Within, 10*time.Minute)
	t.Binds = orDefault(t.Binds, 20)
	t.Burst = orDefault(t.Burst, 40)
	t.Remember = orDefault(t.Remember, time.Minute)
	return t
}

// tries counts failures in a sliding window. Its memory is bounded: what has left the window is swept.
type tries struct {
	mu     sync.Mutex
	within time.Duration
	at     map[string][]time.Time
	swept  time.Time
}

// take books a try for each key before its outcome is known, so that many at once do not all slip through. When a key
// has had its number, nothing is booked and the time until the oldest is forgotten is returned.
func (t *tries) take(now time.Time, limits map[string]int) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(now)
	for key, limit := range limits {
		if at := t.recent(key, now); len(at) >= limit {
			wait = max(wait, at[len(at)-limit].Add(t.within).Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	for key := range limits {
		t.at[key] = append(t.at[key], now)
	}
	return 0
}

// give takes back what take booked at that moment: it was no failure.
func (t *tries) give(booked time.Time, limits map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range limits {
		if i := slices.IndexFunc(t.at[key], booked.Equal); i >= 0 {
			t.at[key] = slices.Delete(t.at[key], i, i+1)
		}
	}
}

func (t *tries) recent(key string, now time.Time) []time.Time {
	at := slices.DeleteFunc(t.at[key], func(x time.Time) bool { return now.Sub(x) >= t.within })
	if len(at) == 0 {
		delete(t.at, key)
		return nil
	}
	t.at[key] = at
	return at
}

// sweep forgets, once per window, all that has left it.
func (t *tries) sweep(now time.Time) {
	if now.Sub(t.swept) < t.within {
		return
	}
	t.swept = now
	for key := range t.at {
		t.recent(key, now)
	}
}

// source is what counts as one place: an IPv4 address, or an IPv6 /64, which one subscriber holds whole.
func source(from netip.Addr) string {
	from = from.Unmap().WithZone("")
	if !from.Is6() {
		return from.String()
	}
	p, err := from.Prefix(64)
	if err != nil {
		return from.String()
	}
	return p.String()
}
