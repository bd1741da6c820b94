// Package db keeps the register in SQLite: sites, people's epochs and browser sessions.
//
// Acknowledged means on disk: WAL with synchronous FULL. Every transaction takes the write lock when it begins, so that
// read-then-write never fails half-way. What the file must be is asserted at each Open, not assumed.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/mattn/go-sqlite3"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// DB is the open register. It is a site.Store; Sessions is the store of browser sessions. Any goroutine may use it.
type DB struct {
	orm  *gorm.DB
	pool *sql.DB
	Now  func() time.Time // for the expiry of sessions

	writing chan struct{} // holds a token while a transaction writes

	reserve reserve
}

// busyTimeout is how long a transaction waits for another one.
const busyTimeout = 5 * time.Second

// Open opens or makes the register at path, whose folder exists, and brings its schema up to date. An existing register
// is copied beside itself before it is changed. A register of a later version is refused.
func Open(path string) (*DB, error) {
	if err := touch(path); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	orm, err := gorm.Open(sqlite.Open(dsn(path)), &gorm.Config{
		Logger:                 logger.Discard, // errors come back to the caller, who logs them once
		TranslateError:         true,
		PrepareStmt:            true,
		SkipDefaultTransaction: true, // one statement is its own transaction
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool, err := orm.DB()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(4) // one writes, the others read
	d := &DB{orm: orm, pool: pool, Now: time.Now, writing: make(chan struct{}, 1), reserve: reserve{path: path + ".reserve"}}
	if err := d.prepare(path); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), pool.Close())
	}
	return d, nil
}

func (d *DB) prepare(path string) error {
	ctx := context.Background()
	if err := d.assert(ctx); err != nil {
		return err
	}
	if err := d.spare(func() error { return d.migrate(ctx, path) }); err != nil {
		return err
	}
	if err := d.Reserve(); err != nil {
		slog.Warn("the register has no reserve", "err", err) // it works without; the health page says so
	}
	return nil
}

// Close ends every connection. The log is folded into the file.
func (d *DB) Close() error { return d.pool.Close() }

// write runs f, which may write, once all that asked before have written; on a full volume f runs again (see reserve).
// SQLite's own waiting is to try again now and then: under a storm it keeps every connection, those of the readers too,
// and who has bad luck never gets a turn.
func (d *DB) write(ctx context.Context, f func(orm *gorm.DB) error) error {
	select {
	case d.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.writing }()
	return d.spare(func() error { return f(d.orm.WithContext(ctx)) })
}

// transact is write with all of f or nothing.
func (d *DB) transact(ctx context.Context, f func(tx *gorm.DB) error) error {
	return d.write(ctx, func(orm *gorm.DB) error { return orm.Transaction(f) })
}

// touch makes the file readable by its owner only; SQLite gives its log the same mode.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// dsn spells the settings of every connection. Other drivers ignore them silently: assert looks.
func dsn(path string) string {
	settings := url.Values{
		"_journal_mode": {"WAL"},
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
		"_synchronous":  {"FULL"},
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + settings.Encode()
}

// The WAL-reset fault that damages files is mended in 3.51.3 (SAFETY fact 11).
const (
	oldestSQLite     = 3_051_003
	oldestSQLiteName = "3.51.3"
)

// assert looks at what the driver has really set.
func (d *DB) assert(ctx context.Context) error {
	if version, number, _ := sqlite3.Version(); number < oldestSQLite {
		return fmt.Errorf("SQLite is %s, older than %s", version, oldestSQLiteName)
	}
	for pragma, want := range map[string]string{
		"journal_mode": "wal",
		"busy_timeout": fmt.Sprint(busyTimeout.Milliseconds()),
		"foreign_keys": "1",
		"synchronous":  "2", // FULL
	} {
		var got string
		if err := d.pool.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return fmt.Errorf("read %s: %w", pragma, err)
		}
		if got != want {
			return fmt.Errorf("%s is %q, want %q", pragma, got, want)
		}
	}
	return d.assertImmediate(ctx)
}

// assertImmediate holds a transaction that has done nothing and sees that another cannot begin to write.
func (d *DB) assertImmediate(ctx context.Context) error {
	other, err := d.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = other.Close() }()
	if _, err := other.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	defer func() {
		_, _ = other.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", busyTimeout.Milliseconds()))
	}()
	tx, err := d.pool.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := other.ExecContext(ctx, "BEGIN IMMEDIATE"); err == nil {
		_, _ = other.ExecContext(ctx, "ROLLBACK")
		return errors.New("transactions do not take the write lock when they begin")
	}
	return nil
}
