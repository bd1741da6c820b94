package db

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// reserve is room on the register's volume, held by a file beside it (SAFETY 14). When other things fill the volume the
// register gets it back piece by piece, so that people can sign in and delete, which is how the volume gets emptier. New
// sites do not come so far: the ledger of the disks refuses them earlier.
type reserve struct {
	path string

	mu    sync.Mutex
	tried time.Time // last refill
}

// The reserve holds what a few thousand deletions write. A piece is given at a time, for whoever filled the volume may
// take what is free at once.
const (
	reserveSize  = 16 << 20
	reservePiece = 1 << 20
	refillEvery  = time.Minute
)

// spare does write; when the volume is full it is done again with a piece of the reserve, until none is left.
func (d *DB) spare(write func() error) error {
	err := write()
	for isFull(err) && d.reserve.give() {
		err = write()
	}
	if err == nil {
		d.reserve.refillNow(d.Now())
	}
	return err
}

// isFull tells an error that comes from a full volume.
func isFull(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrFull || errors.Is(e.SystemErrno, unix.ENOSPC))
}

// give frees a piece; false when nothing is left.
func (r *reserve) give() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.size()
	if left == 0 {
		return false
	}
	if err := os.Truncate(r.path, max(0, left-reservePiece)); err != nil {
		return false
	}
	slog.Error("the register's volume is full: it goes on with its reserve", "left", max(0, left-reservePiece))
	return true
}

func (r *reserve) size() int64 {
	i, err := os.Stat(r.path)
	if err != nil {
		return 0
	}
	return i.Size()
}

// refillNow fills what was given, once a minute at most.
func (r *reserve) refillNow(now time.Time) {
	r.mu.Lock()
	due := now.Sub(r.tried) >= refillEvery
	r.mu.Unlock()
	if due {
		_ = r.refill(now) // Reserve tells
	}
}

// refill takes the whole reserve again, if the volume has twice as much to give: else it would go to and fro.
func (r *reserve) refill(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried = now
	left := r.size()
	if left == reserveSize {
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	defer func() { _ = f.Close() }()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	if int64(st.Bavail)*st.Bsize < 2*(reserveSize-left) {
		return fmt.Errorf("the volume is full: %d of %d MiB are left for the register", left>>20, reserveSize>>20)
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, reserveSize)
	if errors.Is(err, unix.EOPNOTSUPP) { // such a volume shares its blocks: nothing can be held there
		return nil
	}
	if err != nil {
		return errors.Join(fmt.Errorf("reserve: %w", err), f.Truncate(left))
	}
	return nil
}

// Reserve tells whether the register has room to go on when its volume is full, and takes that room if it can.
func (d *DB) Reserve() error { return d.reserve.refill(d.Now()) }
