package db

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
)

// step is one numbered migration in plain SQL. What has been released is never edited: a change is a further step.
// Never AutoMigrate, never Migrator().DropColumn, which deletes the children of the rows (DEPENDENCIES 0.6);
// ALTER TABLE ... DROP COLUMN does it well.
type step struct {
	id  string
	sql []string
}

var steps = []step{
	{"0001-sites", []string{
		`CREATE TABLE sites (
			id          TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 10 AND id NOT GLOB '*[^a-z0-9]*'),
			name        TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 3 AND 40),
			owner       TEXT    NOT NULL CHECK (owner <> ''),
			owner_login TEXT    NOT NULL,
			role        TEXT    NOT NULL,
			template    TEXT    NOT NULL,
			server      TEXT    NOT NULL,
			language    TEXT    NOT NULL,
			database    TEXT    NOT NULL,
			slot        INTEGER NOT NULL UNIQUE CHECK (slot >= 1),
			want        TEXT    NOT NULL CHECK (want IN ('up', 'down', 'gone')),
			state       TEXT    NOT NULL,
			fault       TEXT    NOT NULL CHECK (fault = '' OR json_valid(fault)),
			epoch       INTEGER NOT NULL,
			created_at  INTEGER NOT NULL, -- times are nanoseconds since 1970, 0 for never
			made_at     INTEGER NOT NULL,
			changed_at  INTEGER NOT NULL,
			used_at     INTEGER NOT NULL
		) STRICT`,
		`CREATE INDEX sites_owner ON sites (owner)`,
	}},
	{"0002-people", []string{
		`CREATE TABLE people (
			key   TEXT    NOT NULL PRIMARY KEY CHECK (key <> ''),
			epoch INTEGER NOT NULL
		) STRICT`,
	}},
	{"0003-sessions", []string{
		`CREATE TABLE sessions (
			token  TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the cookie
			data   BLOB    NOT NULL,
			expiry INTEGER NOT NULL
		) STRICT`,
		`CREATE INDEX sessions_expiry ON sessions (expiry)`,
	}},
	{"0004-databases", []string{
		`ALTER TABLE sites ADD COLUMN password TEXT NOT NULL DEFAULT ''`, // of the database inside the site
	}},
	{"0005-limits", []string{
		`ALTER TABLE sites ADD COLUMN limits TEXT NOT NULL DEFAULT '' CHECK (limits = '' OR json_valid(limits))`,
	}},
	{"0006-waves", []string{
		`ALTER TABLE sites ADD COLUMN kept TEXT NOT NULL DEFAULT ''`, // version of the template it could not move to
		`CREATE TABLE waves (
			template TEXT    NOT NULL PRIMARY KEY CHECK (template <> ''),
			version  TEXT    NOT NULL CHECK (version <> ''),
			older    TEXT    NOT NULL CHECK (json_valid(older)), -- versions it moves sites from
			began_at INTEGER NOT NULL
		) STRICT`,
	}},
	{"0007-moves", []string{
		`ALTER TABLE sites ADD COLUMN kept_fault TEXT NOT NULL DEFAULT '' CHECK (kept_fault = '' OR json_valid(kept_fault))`,
		`ALTER TABLE sites ADD COLUMN moved_from TEXT NOT NULL DEFAULT ''`, // until it has started where it is
	}},
	{"0008-places", []string{
		`CREATE TABLE places (
			place   TEXT    NOT NULL PRIMARY KEY CHECK (place <> ''), -- digest of a login at an address
			seen_at INTEGER NOT NULL
		) STRICT`,
		`CREATE INDEX places_seen ON places (seen_at)`,
	}},
}

// migrate does the steps that are not done yet, all in one transaction.
func (d *DB) migrate(ctx context.Context, path string) error {
	last, err := d.lastStep(ctx)
	if err != nil {
		return err
	}
	if last != "" && last != steps[len(steps)-1].id {
		if err := d.copyTo(ctx, path+".before-"+filepath.Base(steps[len(steps)-1].id)); err != nil {
			return err
		}
	}
	m := gormigrate.New(d.orm.WithContext(ctx), &gormigrate.Options{
		TableName:                 "migrations",
		IDColumnName:              "id",
		IDColumnSize:              64,
		UseTransaction:            true,
		ValidateUnknownMigrations: true,
	}, migrations())
	if err := m.Migrate(); err != nil {
		return fmt.Errorf("migrate from %q: %w", last, err)
	}
	return nil
}

func migrations() []*gormigrate.Migration {
	var all []*gormigrate.Migration
	for _, s := range steps {
		all = append(all, &gormigrate.Migration{ID: s.id, Migrate: func(tx *gorm.DB) error {
			for _, statement := range s.sql {
				if err := tx.Exec(statement).Error; err != nil {
					return fmt.Errorf("step %s: %w", s.id, err)
				}
			}
			return nil
		}})
	}
	return all
}

// lastStep is the newest migration done; "" for a new register.
func (d *DB) lastStep(ctx context.Context) (string, error) {
	var tables int
	const known = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'`
	if err := d.pool.QueryRowContext(ctx, known).Scan(&tables); err != nil || tables == 0 {
		return "", err
	}
	var last string
	err := d.pool.QueryRowContext(ctx, `SELECT coalesce(max(id), '') FROM migrations`).Scan(&last)
	return last, err
}

// copyTo writes a whole, consistent copy of the register. One of an earlier try that did not succeed is replaced.
func (d *DB) copyTo(ctx context.Context, path string) error {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("copy before migrating: %w", err)
	}
	if err := touch(part); err != nil { // its mode; VACUUM INTO takes an empty file
		return fmt.Errorf("copy before migrating: %w", err)
	}
	if _, err := d.pool.ExecContext(ctx, `VACUUM INTO ?`, part); err != nil {
		return fmt.Errorf("copy before migrating: %w", err)
	}
	if err := syncFile(part); err != nil {
		return fmt.Errorf("copy before migrating: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("copy before migrating: %w", err)
	}
	return syncFile(filepath.Dir(path))
}

// syncFile flushes a file or a folder to the disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}
