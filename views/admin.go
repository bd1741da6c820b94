package views

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"petitpont/site"

	"github.com/a-h/templ"
)

// Roll is one page of every site, as asked for in the URL.
type Roll struct {
	Region
	Sites []Owned
	Text  string // search
	State string // filter, a site.State or ""
	Sort  string // column, with a leading "-" for the largest first
	Page  int    // from 1
	Size  int    // rows of a page
	Total int
	Down  bool
}

// filters are the states one may ask for, in the order of a site's life: the word in the address, and a site that is in
// that state. "stopped" is no state of its own: it is asleep because its owner wants it down.
var filters = []struct {
	Value string
	Like  site.Site
}{
	{"awake", site.Site{State: site.Awake}},
	{"asleep", site.Site{State: site.Asleep}},
	{"stopped", site.Site{State: site.Asleep, Want: site.Down}},
	{"creating", site.Site{State: site.Creating}},
	{"waking", site.Site{State: site.Waking}},
	{"stopping", site.Site{State: site.Stopping}},
	{"failed", site.Site{State: site.Failed}},
	{"deleting", site.Site{State: site.Deleting}},
}

type column struct{ Key, Label string }

var columns = []column{
	{"name", "admin.name"},
	{"state", "admin.state"},
	{"owner", "admin.owner"},
	{"memory", "admin.mem"},
	{"disk", "admin.dsk"},
	{"used", "admin.used"},
}

func (r Roll) filtered() bool { return r.Text != "" || r.State != "" }

func (r Roll) last() int { return max(1, (r.Total+r.Size-1)/r.Size) }

func (r Roll) hasPrevious() bool { return r.Page > 1 }

func (r Roll) hasNext() bool { return r.Page < r.last() }

// shown says which rows these are.
func (r Roll) shown(ctx context.Context) string {
	if r.Total == 1 {
		return t(ctx, "admin.shown-one")
	}
	from := (r.Page-1)*r.Size + 1
	if len(r.Sites) == 0 {
		from = 0
	}
	return t(ctx, "admin.shown",
		"from", fmt.Sprint(from), "to", fmt.Sprint(max(0, from+len(r.Sites)-1)), "n", fmt.Sprint(r.Total))
}

// total says how many sites there are.
func (f Fleet) total(ctx context.Context) string {
	if f.Total == 1 {
		return t(ctx, "admin.total-one")
	}
	return t(ctx, "admin.total", "n", fmt.Sprint(f.Total))
}

// url is this list with another order or page.
func (r Roll) url(sort string, page int) string {
	q := url.Values{}
	for key, value := range map[string]string{"q": r.Text, "state": r.State, "sort": sort} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if page > 1 {
		q.Set("page", fmt.Sprint(page))
	}
	if len(q) == 0 {
		return "/admin/sites"
	}
	return "/admin/sites?" + q.Encode()
}

// Here is this very list.
func (r Roll) Here() string { return r.url(r.Sort, r.Page) }

func (r Roll) page(n int) string { return r.url(r.Sort, n) }

// sorted turns the order of a column round when it is sorted by already.
func (r Roll) sorted(c column) string {
	if r.Sort == c.Key {
		return r.url("-"+c.Key, 1)
	}
	return r.url(c.Key, 1)
}

func (r Roll) sortIcon(c column) string {
	switch r.Sort {
	case c.Key:
		return "arrow-up"
	case "-" + c.Key:
		return "arrow-down"
	}
	return ""
}

func (r Roll) ariaSort(c column) templ.Attributes {
	switch r.sortIcon(c) {
	case "arrow-up":
		return templ.Attributes{"aria-sort": "ascending"}
	case "arrow-down":
		return templ.Attributes{"aria-sort": "descending"}
	}
	return nil
}

// onTab tells whether href is the section of the administration being drawn.
func onTab(ctx context.Context, href string) bool {
	path, _, _ := strings.Cut(frame(ctx).Here, "?")
	return path == href || href != "/admin" && strings.HasPrefix(path, href+"/")
}
