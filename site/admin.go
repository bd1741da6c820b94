package site

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"petitpont/runtime"
)

// Query asks for a page of all sites.
type Query struct {
	Text  string // part of a site's name or of its owner's login
	State string // a State, or "stopped": asleep because its owner wants it down; "" for all
	Sort  string // name, owner, state, created, used, memory, disk
	Desc  bool
	Page  int // from 1
	Size  int // rows per page, at most 500; 50
}

// Page is the answer.
type Page struct {
	Rows   []Row
	Total  int           // rows on all pages
	Counts map[State]int // of the sites that match Text, whatever their state
}

// Row is a site with what it uses; zero when that could not be read.
type Row struct {
	Site
	Usage runtime.Usage
}

// The state filter that is no State.
const stopped = "stopped"

// All lists every site, for admins only.
func (v *Service) All(ctx context.Context, who Identity, q Query) (Page, error) {
	if !who.Admin {
		return Page{}, &Error{Code: CodeForbidden}
	}
	p := Page{Counts: map[State]int{}}
	for _, e := range v.entries() {
		s := e.snapshot()
		if !q.says(s) {
			continue
		}
		p.Counts[s.State]++
		if q.shows(s) {
			p.Rows = append(p.Rows, Row{Site: s})
		}
	}
	p.Total = len(p.Rows)
	if q.weighs() { // the order needs what all of them use
		v.weigh(ctx, p.Rows)
	}
	slices.SortFunc(p.Rows, q.order())
	p.Rows = q.cut(p.Rows)
	if !q.weighs() {
		v.weigh(ctx, p.Rows)
	}
	return p, nil
}

func (q Query) says(s Site) bool {
	text := strings.ToLower(strings.TrimSpace(q.Text))
	return strings.Contains(s.Name, text) || strings.Contains(strings.ToLower(s.OwnerLogin), text)
}

func (q Query) shows(s Site) bool {
	switch q.State {
	case "":
		return true
	case stopped:
		return s.State == Asleep && s.Want == Down
	}
	return string(s.State) == q.State
}

func (q Query) weighs() bool { return q.Sort == "memory" || q.Sort == "disk" }

// order sorts by what was asked, then by name, so that pages do not overlap.
func (q Query) order() func(a, b Row) int {
	by := orders[q.Sort]
	if by == nil {
		by = orders["name"]
	}
	return func(a, b Row) int {
		c := by(a, b)
		if q.Desc {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.Name, b.Name))
	}
}

var orders = map[string]func(a, b Row) int{
	"name":    func(a, b Row) int { return cmp.Compare(a.Name, b.Name) },
	"owner":   func(a, b Row) int { return cmp.Compare(a.OwnerLogin, b.OwnerLogin) },
	"state":   func(a, b Row) int { return cmp.Compare(a.State, b.State) },
	"created": func(a, b Row) int { return a.CreatedAt.Compare(b.CreatedAt) },
	"used":    func(a, b Row) int { return a.UsedAt.Compare(b.UsedAt) },
	"memory":  func(a, b Row) int { return cmp.Compare(a.Usage.Memory, b.Usage.Memory) },
	"disk":    func(a, b Row) int { return cmp.Compare(a.Usage.Disk, b.Usage.Disk) },
}

func (q Query) cut(rows []Row) []Row {
	size := min(orDefault(max(q.Size, 0), 50), 500)
	from := min((max(q.Page, 1)-1)*size, len(rows))
	return rows[from:min(from+size, len(rows))]
}

// weigh reads what rows use, a few at a time.
func (v *Service) weigh(ctx context.Context, rows []Row) {
	var all sync.WaitGroup
	tokens := make(chan struct{}, 8)
	for i := range rows {
		tokens <- struct{}{}
		all.Go(func() {
			defer func() { <-tokens }()
			if u, err := v.cfg.Driver.Usage(ctx, string(rows[i].ID)); err == nil {
				rows[i].Usage = u
			}
		})
	}
	all.Wait()
}

func sortSites(all []Site) {
	slices.SortFunc(all, func(a, b Site) int { return cmp.Compare(a.Name, b.Name) })
}
