package db

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"petitpont/site"
)

// waveRow is a wave as it is stored.
type waveRow struct {
	Template string `gorm:"primaryKey"`
	Version  string
	Older    string // JSON
	BeganAt  int64  `gorm:"autoCreateTime:false"`
}

// TableName is for gorm.
func (waveRow) TableName() string { return "waves" }

// Waves reads every wave.
func (d *DB) Waves(ctx context.Context) ([]site.Wave, error) {
	var rows []waveRow
	if err := d.orm.WithContext(ctx).Order("template").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read waves: %w", err)
	}
	all := make([]site.Wave, 0, len(rows))
	for _, r := range rows {
		w := site.Wave{Template: r.Template, Version: r.Version, BeganAt: moment(r.BeganAt)}
		if err := json.Unmarshal([]byte(r.Older), &w.Older); err != nil {
			return nil, fmt.Errorf("read wave of %s: %w", r.Template, err)
		}
		all = append(all, w)
	}
	return all, nil
}

// SetWave writes a wave over that of its template.
func (d *DB) SetWave(ctx context.Context, w site.Wave) error {
	older, err := json.Marshal(append([]string{}, w.Older...))
	if err != nil {
		return fmt.Errorf("wave of %s: %w", w.Template, err)
	}
	r := waveRow{Template: w.Template, Version: w.Version, Older: string(older), BeganAt: stamp(w.BeganAt)}
	err = d.write(ctx, func(orm *gorm.DB) error {
		return orm.Clauses(clause.OnConflict{UpdateAll: true}).Create(&r).Error
	})
	if err != nil {
		return fmt.Errorf("write wave of %s: %w", w.Template, err)
	}
	return nil
}
