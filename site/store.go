package site

import (
	"context"
	"errors"
	"time"
)

// What a Store can refuse.
var (
	ErrNameTaken = errors.New("name is taken")
	ErrQuota     = errors.New("owner has all the sites of the plan")
	ErrNoRow     = errors.New("no such row")
)

// Store keeps the register. Every call is one transaction, and what it acknowledged survives a power cut.
// Package db is the real one, sitetest has one in memory; both pass sitetest.TestStore.
type Store interface {
	// Sites reads every row, in any order.
	Sites(ctx context.Context) ([]Site, error)
	// Add checks that the owner has fewer than quota sites (ErrQuota) and the name is free (ErrNameTaken), allots the
	// smallest free slot and stores the row, all in one transaction. It returns the row with its Slot. Slots that are
	// held belong to containers without a row, as after an older register has been put back, and are passed over.
	Add(ctx context.Context, s Site, quota int, held ...int) (Site, error)
	// Update writes what may change of a row: Want, State, Fault, Epoch, Own, Kept, KeptFault, MovedFrom and the times.
	// ErrNoRow if it has gone.
	Update(ctx context.Context, s Site) error
	// Remove forgets a row; its name and slot are free afterwards. Removing an absent one is a no-op.
	Remove(ctx context.Context, id ID) error
	// Epoch is the person's; 0 for one never seen.
	Epoch(ctx context.Context, key string) (int64, error)
	// Revoke grows the person's epoch by one and returns it (RULE EPOCH).
	Revoke(ctx context.Context, key string) (int64, error)
	// Places reads where passwords were right since a moment: digests with the last time.
	Places(ctx context.Context, since time.Time) (map[string]time.Time, error)
	// SetPlace notes that a password was right at a place, and forgets all places of before since.
	SetPlace(ctx context.Context, place string, at, since time.Time) error
	// Waves reads the waves, one for each template that had any.
	Waves(ctx context.Context) ([]Wave, error)
	// SetWave puts a wave in the place of its template's earlier one.
	SetWave(ctx context.Context, w Wave) error
}

// Directory is where people prove who they are. site/ldap is the real one.
type Directory interface {
	// Authenticate returns the person with the login as the directory writes it (RULE ID); Epoch stays zero.
	// What a person can act on comes as *Error: CodeWrongPassword for a wrong password and an unknown login alike,
	// CodeDirectoryDown, CodeDirectoryDeny, CodeNoRole.
	Authenticate(ctx context.Context, login, password string) (Identity, error)
}
