package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// placeRow is where a login's password was right.
type placeRow struct {
	Place  string `gorm:"primaryKey"`
	SeenAt int64
}

// TableName is for gorm.
func (placeRow) TableName() string { return "places" }

// Places reads those of since and later.
func (d *DB) Places(ctx context.Context, since time.Time) (map[string]time.Time, error) {
	var rows []placeRow
	if err := d.orm.WithContext(ctx).Where("seen_at >= ?", stamp(since)).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read places: %w", err)
	}
	all := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		all[r.Place] = moment(r.SeenAt)
	}
	return all, nil
}

// SetPlace writes one and forgets those of before since.
func (d *DB) SetPlace(ctx context.Context, place string, at, since time.Time) error {
	err := d.transact(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("seen_at < ?", stamp(since)).Delete(&placeRow{}).Error; err != nil {
			return err
		}
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&placeRow{Place: place, SeenAt: stamp(at)}).Error
	})
	if err != nil {
		return fmt.Errorf("write place: %w", err)
	}
	return nil
}
