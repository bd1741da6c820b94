package site

import "petitpont/runtime"

// TakeExit lets a test tell of an end that no driver tells.
func (v *Service) TakeExit(x runtime.Exit) { v.takeExit(x) }

// Holds tells a test whether limits wait for their turn.
func (v *Service) Holds(id ID) bool {
	e := v.entry(id)
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.holding != nil
}

// Knows tells a test whether a site is still there.
func (v *Service) Knows(id ID) bool { return v.entry(id) != nil }
