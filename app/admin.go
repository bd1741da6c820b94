package app

import (
	"fmt"
	"strconv"
	"strings"

	"petitpont/site"
	"petitpont/views"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

const (
	rowsPerPage = 50
	mostBroken  = 8 // sites named under "to do"; the list has them all
)

// lifeOrder is the order in which states are counted.
var lifeOrder = []site.State{
	site.Awake, site.Dozing, site.Asleep, site.Creating, site.Waking, site.Stopping, site.Failed, site.Deleting,
}

// fleet is the host at a glance.
func (a *App) fleet(c echo.Context, who site.Identity) error {
	ctx := c.Request().Context()
	host, err := a.Sites.Host(ctx)
	if err != nil {
		return fmt.Errorf("read host: %w", err)
	}
	broken, err := a.Sites.All(ctx, who, site.Query{State: string(site.Failed), Sort: "name", Page: 1, Size: mostBroken})
	if err != nil {
		return fmt.Errorf("list broken sites: %w", err)
	}
	f := views.Fleet{
		Region: views.Region{ID: "fleet", URL: "/admin", Pace: views.Calm},
		Memory: host.Memory, MemoryMax: host.MemoryMax, Disk: host.Disk, DiskMax: host.DiskMax,
		Awake: host.Awake, Down: host.RuntimeDown,
	}
	for _, row := range broken.Rows {
		f.Broken = append(f.Broken, row.Site)
	}
	for _, state := range lifeOrder {
		if n := broken.Counts[state]; n > 0 {
			f.Counts = append(f.Counts, views.StateCount{State: state, Number: n})
			f.Total += n
		}
	}
	return a.live(c, &f.Region,
		func() templ.Component { return views.FleetBody(f) },
		func() templ.Component { return views.Admin(f) })
}

// roll is one page of every site. What is shown stands in the address, so it can be kept and sent.
func (a *App) roll(c echo.Context, who site.Identity) error {
	ctx := c.Request().Context()
	r := views.Roll{
		Text: strings.TrimSpace(c.QueryParam("q")), State: c.QueryParam("state"), Sort: c.QueryParam("sort"),
		Page: pageNumber(c.QueryParam("page")), Size: rowsPerPage,
	}
	found, err := a.Sites.All(ctx, who, query(r))
	if err != nil {
		return fmt.Errorf("list sites: %w", err)
	}
	host, err := a.Sites.Host(ctx)
	if err != nil {
		return fmt.Errorf("read host: %w", err)
	}
	r.Total, r.Down = found.Total, host.RuntimeDown
	busy := false
	for _, row := range found.Rows {
		o := views.Owned{Site: row.Site}
		if row.Usage.DiskMax > 0 { // else it could not be read
			o.Usage = &row.Usage
		}
		r.Sites = append(r.Sites, o)
		busy = busy || moving(row.Site)
	}
	r.Region = views.Region{ID: "rows", URL: r.Here(), Pace: views.PaceOf(busy)}
	return a.live(c, &r.Region,
		func() templ.Component { return views.Rows(r) },
		func() templ.Component { return views.AdminSites(r) })
}

func query(r views.Roll) site.Query {
	column, desc := strings.CutPrefix(r.Sort, "-")
	return site.Query{Text: r.Text, State: r.State, Sort: column, Desc: desc, Page: r.Page, Size: r.Size}
}

func pageNumber(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 1
	}
	return n
}
