package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"petitpont/site"
)

var _ site.Store = (*DB)(nil)

// row is a site as it is stored. Its ID keeps its type up to the query: a plain string given to First or Delete would
// be taken for SQL (RULE ARG).
type row struct {
	ID         site.ID `gorm:"primaryKey"`
	Name       string
	Owner      string
	OwnerLogin string
	Role       site.Role
	Template   string
	Server     string
	Language   string
	Database   string
	Password   string
	Limits     string // JSON, "" where the plan's hold
	Kept       string
	KeptFault  string // JSON, "" for none
	MovedFrom  string
	Slot       int
	Want       site.Want
	State      site.State
	Fault      string // JSON, "" for none
	Epoch      int64
	CreatedAt  int64 `gorm:"autoCreateTime:false"` // nanoseconds, 0 for never
	MadeAt     int64
	ChangedAt  int64
	UsedAt     int64
}

// TableName is for gorm.
func (row) TableName() string { return "sites" }

// changing are the columns Update writes; the others never change.
var changing = []string{"want", "state", "fault", "epoch", "limits", "kept", "kept_fault", "moved_from", "made_at", "changed_at", "used_at"}

// Sites reads every row, by name.
func (d *DB) Sites(ctx context.Context) ([]site.Site, error) {
	var rows []row
	if err := d.orm.WithContext(ctx).Order("name").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read sites: %w", err)
	}
	all := make([]site.Site, 0, len(rows))
	for _, r := range rows {
		s, err := r.site()
		if err != nil {
			return nil, fmt.Errorf("read site %s: %w", r.ID, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// smallestSlot is the smallest number from 1 that no site has and that is not held. Its argument is a JSON array.
const smallestSlot = `
	WITH held AS (SELECT value AS slot FROM json_each(?))
	SELECT min(slot) FROM (
		SELECT 1 AS slot
		UNION ALL
		SELECT slot + 1 FROM sites
		UNION ALL
		SELECT slot + 1 FROM held
	) WHERE slot NOT IN (SELECT slot FROM sites) AND slot NOT IN (SELECT slot FROM held)`

// Add checks quota and name, allots the slot and stores the row. The transaction holds the write lock from its
// beginning, so what was checked still holds when the row is written.
func (d *DB) Add(ctx context.Context, s site.Site, quota int, held ...int) (site.Site, error) {
	r, err := rowOf(s)
	if err != nil {
		return site.Site{}, err
	}
	taken, err := json.Marshal(append([]int{}, held...))
	if err != nil {
		return site.Site{}, fmt.Errorf("held slots: %w", err)
	}
	err = d.transact(ctx, func(tx *gorm.DB) error {
		if err := admit(tx, r, quota); err != nil {
			return err
		}
		if err := tx.Raw(smallestSlot, string(taken)).Scan(&r.Slot).Error; err != nil {
			return fmt.Errorf("allot slot: %w", err)
		}
		return tx.Create(&r).Error
	})
	if err != nil {
		return site.Site{}, fmt.Errorf("add site %s: %w", s.ID, err)
	}
	s.Slot = r.Slot
	return s, nil
}

func admit(tx *gorm.DB, r row, quota int) error {
	var owned, named int64
	if err := tx.Model(&row{}).Where("owner = ?", r.Owner).Count(&owned).Error; err != nil {
		return err
	}
	if owned >= int64(quota) {
		return site.ErrQuota
	}
	if err := tx.Model(&row{}).Where("name = ?", r.Name).Count(&named).Error; err != nil {
		return err
	}
	if named > 0 {
		return site.ErrNameTaken
	}
	return nil
}

// Update writes what may change of a row.
func (d *DB) Update(ctx context.Context, s site.Site) error {
	r, err := rowOf(s)
	if err != nil {
		return err
	}
	err = d.write(ctx, func(orm *gorm.DB) error {
		// Select also writes zero values, which Updates of a struct would skip.
		done := orm.Model(&row{}).Where("id = ?", s.ID).Select(changing).Updates(&r)
		if done.Error == nil && done.RowsAffected == 0 {
			return site.ErrNoRow
		}
		return done.Error
	})
	if err != nil {
		return fmt.Errorf("update site %s: %w", s.ID, err)
	}
	return nil
}

// Remove forgets a row.
func (d *DB) Remove(ctx context.Context, id site.ID) error {
	err := d.write(ctx, func(orm *gorm.DB) error { return orm.Where("id = ?", id).Delete(&row{}).Error })
	if err != nil {
		return fmt.Errorf("remove site %s: %w", id, err)
	}
	return nil
}

// personRow is what is kept of a person.
type personRow struct {
	Key   string `gorm:"primaryKey"`
	Epoch int64
}

// TableName is for gorm.
func (personRow) TableName() string { return "people" }

// Epoch is the person's; 0 for one never revoked.
func (d *DB) Epoch(ctx context.Context, key string) (int64, error) {
	var p personRow
	err := d.orm.WithContext(ctx).Where("key = ?", key).Take(&p).Error
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return 0, fmt.Errorf("read epoch: %w", err)
	}
	return p.Epoch, nil
}

// Revoke grows the person's epoch and returns it.
func (d *DB) Revoke(ctx context.Context, key string) (int64, error) {
	p := personRow{Key: key, Epoch: 1}
	err := d.write(ctx, func(orm *gorm.DB) error {
		return orm.Clauses(
			clause.OnConflict{
				Columns:   []clause.Column{{Name: "key"}},
				DoUpdates: clause.Assignments(map[string]any{"epoch": gorm.Expr("people.epoch + 1")}),
			},
			clause.Returning{Columns: []clause.Column{{Name: "epoch"}}},
		).Create(&p).Error
	})
	if err != nil {
		return 0, fmt.Errorf("revoke: %w", err)
	}
	return p.Epoch, nil
}

func rowOf(s site.Site) (row, error) {
	fault, err := written(s.Fault, s.Fault == nil)
	if err != nil {
		return row{}, fmt.Errorf("fault of %s: %w", s.ID, err)
	}
	kept, err := written(s.KeptFault, s.KeptFault == nil)
	if err != nil {
		return row{}, fmt.Errorf("move of %s: %w", s.ID, err)
	}
	limits, err := written(s.Own, !site.Limits{Own: s.Own}.Special())
	if err != nil {
		return row{}, fmt.Errorf("limits of %s: %w", s.ID, err)
	}
	return row{
		ID: s.ID, Name: s.Name, Owner: s.Owner, OwnerLogin: s.OwnerLogin, Role: s.Role,
		Template: s.Stack.Template, Server: s.Stack.Server, Language: s.Stack.Language, Database: s.Stack.Database,
		Password: s.Password.Reveal(), Limits: limits, Kept: s.Kept, KeptFault: kept, MovedFrom: s.MovedFrom,
		Slot: s.Slot, Want: s.Want, State: s.State, Fault: fault, Epoch: s.Epoch,
		CreatedAt: stamp(s.CreatedAt), MadeAt: stamp(s.MadeAt), ChangedAt: stamp(s.ChangedAt), UsedAt: stamp(s.UsedAt),
	}, nil
}

func (r row) site() (site.Site, error) {
	s := site.Site{
		ID: r.ID, Name: r.Name, Owner: r.Owner, OwnerLogin: r.OwnerLogin, Role: r.Role,
		Stack:    site.Stack{Template: r.Template, Server: r.Server, Language: r.Language, Database: r.Database},
		Password: site.Secret(r.Password), Kept: r.Kept, MovedFrom: r.MovedFrom,
		Slot: r.Slot, Want: r.Want, State: r.State, Epoch: r.Epoch,
		CreatedAt: moment(r.CreatedAt), MadeAt: moment(r.MadeAt), ChangedAt: moment(r.ChangedAt), UsedAt: moment(r.UsedAt),
	}
	for _, part := range []struct {
		name, text string
		into       any
	}{{"fault", r.Fault, &s.Fault}, {"limits", r.Limits, &s.Own}, {"move", r.KeptFault, &s.KeptFault}} {
		if part.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return site.Site{}, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return s, nil
}

// written is v as JSON, "" when there is nothing to say.
func written(v any, nothing bool) (string, error) {
	if nothing {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// stamp and moment turn times into numbers and back; the zero time is 0.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
