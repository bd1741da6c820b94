package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Sessions is the store of browser sessions for scs. Only a digest of a token is stored: who reads the register cannot
// sign in with it. Leave scs's own HashTokenInStore off, which breaks Destroy within Iterate.
type Sessions struct{ db *DB }

var (
	_ scs.CtxStore         = (*Sessions)(nil)
	_ scs.IterableCtxStore = (*Sessions)(nil)
)

// Sessions is the store of browser sessions.
func (d *DB) Sessions() *Sessions { return &Sessions{d} }

// sessionRow is one session.
type sessionRow struct {
	Token  string `gorm:"primaryKey"`
	Data   []byte
	Expiry int64 // nanoseconds
}

// TableName is for gorm.
func (sessionRow) TableName() string { return "sessions" }

// stored marks a token that AllCtx gave out: it is a digest already. FindCtx does not take it, so a stolen digest in a
// cookie opens nothing.
const stored = "stored:"

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// column is where Commit and Delete find a token that may come from AllCtx.
func column(token string) string {
	if d, ok := strings.CutPrefix(token, stored); ok {
		return d
	}
	return digest(token)
}

// FindCtx returns the data of a session that has not expired.
func (s *Sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	var r sessionRow
	err := s.orm(ctx).Where("token = ? AND expiry > ?", digest(token), s.now()).Take(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find session: %w", err)
	}
	return r.Data, true, nil
}

// CommitCtx stores a session, and sweeps those that have expired.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	r := sessionRow{Token: column(token), Data: data, Expiry: expiry.UnixNano()}
	err := s.db.transact(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("expiry <= ?", s.now()).Delete(&sessionRow{}).Error; err != nil {
			return err
		}
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&r).Error
	})
	if err != nil {
		return fmt.Errorf("store session: %w", err)
	}
	return nil
}

// DeleteCtx forgets a session; an absent one is a no-op.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	err := s.db.write(ctx, func(orm *gorm.DB) error {
		return orm.Where("token = ?", column(token)).Delete(&sessionRow{}).Error
	})
	if err != nil {
		return fmt.Errorf("delete session: %w", err)
	}
	return nil
}

// AllCtx returns the data of every session that has not expired, for scs's Iterate.
func (s *Sessions) AllCtx(ctx context.Context) (map[string][]byte, error) {
	var rows []sessionRow
	if err := s.orm(ctx).Where("expiry > ?", s.now()).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	all := make(map[string][]byte, len(rows))
	for _, r := range rows {
		all[stored+r.Token] = r.Data
	}
	return all, nil
}

// Find is FindCtx without a ctx, for scs.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a ctx, for scs.
func (s *Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a ctx, for scs.
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// All is AllCtx without a ctx, for scs.
func (s *Sessions) All() (map[string][]byte, error) { return s.AllCtx(context.Background()) }

func (s *Sessions) orm(ctx context.Context) *gorm.DB { return s.db.orm.WithContext(ctx) }
func (s *Sessions) now() int64                       { return s.db.Now().UnixNano() }
