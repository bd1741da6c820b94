// Package sitetest helps to test what stands on site: a store in memory, a directory of made-up people, and the
// contract of site.Store as tests.
package sitetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"petitpont/site"
)

// Store is a site.Store in memory. It outlives the services opened on it, as a file would.
type Store struct {
	mu     sync.Mutex
	fail   func(call string) error
	rows   map[site.ID]site.Site
	epochs map[string]int64
	waves  map[string]site.Wave
	places map[string]time.Time
}

var _ site.Store = (*Store)(nil)

// NewStore returns an empty one.
func NewStore() *Store {
	return &Store{
		rows: map[site.ID]site.Site{}, epochs: map[string]int64{}, waves: map[string]site.Wave{}, places: map[string]time.Time{},
	}
}

func (m *Store) enter(ctx context.Context, call string) error {
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	if fail != nil {
		if err := fail(call); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// SetFail has f asked before each call by its name: sites, add, update, remove, epoch, revoke, waves, wave, places, place. Its
// error is the answer.
func (m *Store) SetFail(f func(call string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = f
}

// Sites reads every row.
func (m *Store) Sites(ctx context.Context) ([]site.Site, error) {
	if err := m.enter(ctx, "sites"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []site.Site
	for _, s := range m.rows {
		all = append(all, s)
	}
	return all, nil
}

// Add is as site.Store says.
func (m *Store) Add(ctx context.Context, s site.Site, quota int, held ...int) (site.Site, error) {
	if err := m.enter(ctx, "add"); err != nil {
		return site.Site{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	owned, slots := 0, map[int]bool{}
	for _, slot := range held {
		slots[slot] = true
	}
	for _, row := range m.rows {
		slots[row.Slot] = true
		if row.Owner == s.Owner {
			owned++
		}
	}
	if owned >= quota {
		return site.Site{}, site.ErrQuota
	}
	for id, row := range m.rows {
		if row.Name == s.Name {
			return site.Site{}, site.ErrNameTaken
		}
		if id == s.ID {
			return site.Site{}, fmt.Errorf("id %s is there already", id)
		}
	}
	for s.Slot = 1; slots[s.Slot]; s.Slot++ {
	}
	m.rows[s.ID] = s
	return s, nil
}

// Update is as site.Store says.
func (m *Store) Update(ctx context.Context, s site.Site) error {
	if err := m.enter(ctx, "update"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.rows[s.ID]
	if !ok {
		return site.ErrNoRow
	}
	row.Want, row.State, row.Fault, row.Epoch = s.Want, s.State, s.Fault, s.Epoch
	row.Own, row.Kept, row.KeptFault, row.MovedFrom = s.Own, s.Kept, s.KeptFault, s.MovedFrom
	row.MadeAt, row.ChangedAt, row.UsedAt = s.MadeAt, s.ChangedAt, s.UsedAt
	m.rows[s.ID] = row
	return nil
}

// Remove is as site.Store says.
func (m *Store) Remove(ctx context.Context, id site.ID) error {
	if err := m.enter(ctx, "remove"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, id)
	return nil
}

// Epoch is as site.Store says.
func (m *Store) Epoch(ctx context.Context, key string) (int64, error) {
	if err := m.enter(ctx, "epoch"); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epochs[key], nil
}

// Revoke is as site.Store says.
func (m *Store) Revoke(ctx context.Context, key string) (int64, error) {
	if err := m.enter(ctx, "revoke"); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epochs[key]++
	return m.epochs[key], nil
}

// Places is as site.Store says.
func (m *Store) Places(ctx context.Context, since time.Time) (map[string]time.Time, error) {
	if err := m.enter(ctx, "places"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(since)
	return maps.Clone(m.places), nil
}

// SetPlace is as site.Store says.
func (m *Store) SetPlace(ctx context.Context, place string, at, since time.Time) error {
	if err := m.enter(ctx, "place"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(since)
	m.places[place] = at
	return nil
}

// forget drops the places of before since. m.mu is held.
func (m *Store) forget(since time.Time) {
	maps.DeleteFunc(m.places, func(_ string, at time.Time) bool { return at.Before(since) })
}

// Waves is as site.Store says.
func (m *Store) Waves(ctx context.Context) ([]site.Wave, error) {
	if err := m.enter(ctx, "waves"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.waves)), nil
}

// SetWave is as site.Store says.
func (m *Store) SetWave(ctx context.Context, w site.Wave) error {
	if err := m.enter(ctx, "wave"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waves[w.Template] = w
	return nil
}

// Edit changes a row behind the service's back, as an earlier version or a crash would leave it.
func (m *Store) Edit(id site.ID, change func(*site.Site)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.rows[id]
	change(&s)
	m.rows[id] = s
}

// Row is what is stored of a site; false when nothing is.
func (m *Store) Row(id site.ID) (site.Site, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.rows[id]
	return s, ok
}
