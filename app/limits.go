package app

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"petitpont/runtime"
	"petitpont/site"
	"petitpont/views"

	"github.com/labstack/echo/v4"
)

// setLimits gives one site limits of its own, or the plan's again. To anybody but an admin the address does not exist.
func (a *App) setLimits(c echo.Context, who site.Identity, s site.Site) error {
	if !who.Admin {
		return echo.ErrNotFound
	}
	ctx := c.Request().Context()
	own, bad := typedLimits(c)
	if bad != "" {
		return a.refuseLimits(c, who, s, bad, &site.Error{Code: site.CodeLimitCount}, views.T(ctx, "limit.number"))
	}
	err := a.Sites.SetLimits(ctx, who, s.Name, own)
	var refused *site.Error
	if errors.As(err, &refused) && refused.Code != site.CodeUnexpected {
		field := refused.Args["limit"]
		if refused.Code == site.CodeDiskShrinks || refused.Code == site.CodeDiskGrow {
			field = "disk"
		}
		return a.refuseLimits(c, who, s, field, refused, views.Sentence(ctx, refused.Code, refused.Args))
	}
	if err != nil {
		return fmt.Errorf("set limits: %w", err)
	}
	return a.accepted(c, views.T(ctx, "said.limits", "s", s.Name), sitePath(s))
}

// typedLimits reads the form; bad is the field that holds no whole number. Empty fields are zero: the plan's.
func typedLimits(c echo.Context) (own runtime.Limits, bad string) {
	if c.FormValue("reset") != "" {
		return own, ""
	}
	values := map[string]int64{}
	for _, f := range views.LimitFields {
		typed := strings.TrimSpace(c.FormValue(f.Name))
		if typed == "" {
			continue
		}
		n, err := strconv.ParseInt(typed, 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt32 { // the heart has closer bounds; this one keeps the product whole
			return own, f.Name
		}
		values[f.Name] = n * f.Unit()
	}
	return runtime.Limits{
		Memory: values["memory"], CPU: int(values["cpu"]), Procs: int(values["procs"]), Disk: values["disk"],
		Inodes: values["inodes"], IO: values["io"], Tmp: values["tmp"],
		Files: int(values["files"]), Watches: int(values["watches"]), Terminals: int(values["terminals"]),
		Connections: int(values["connections"]), Rate: int(values["rate"]),
	}, ""
}

// refuseLimits shows the site's page with what was typed, and why it was refused.
func (a *App) refuseLimits(c echo.Context, who site.Identity, s site.Site, field string, e *site.Error, text string) error {
	o, err := a.newOverview(c, who, s)
	if err != nil {
		return err
	}
	o.V, err = fingerprint(c.Request().Context(), views.SiteHead(o))
	if err != nil {
		return err
	}
	o.Limits.Fault, o.Limits.Blame, o.Limits.Typed = text, field, map[string]string{}
	for _, f := range views.LimitFields {
		o.Limits.Typed[f.Name] = c.FormValue(f.Name)
	}
	status := statusOf(e.Code)
	a.announce(c, e, status)
	return a.page(c, status, views.Site(o))
}
