package views

import (
	"context"
	"fmt"
	"time"

	"petitpont/runtime"
	"petitpont/site"
	"petitpont/views/i18n"
)

// LimitsForm is what was typed into the form of a site's limits, field by field, and what there is to say about it.
type LimitsForm struct {
	site.Limits
	Typed map[string]string // by field; nil when nothing was
	Fault string
	Blame string // the field at fault; "" when none is
}

// limitField is one field of the form.
type limitField struct {
	Name string
	unit int64 // what the field counts in
	of   func(runtime.Limits) int64
}

// LimitFields are the limits an admin may change for one site, with the unit they are typed in. Those from moreLimits on
// are shown on demand.
var LimitFields = []limitField{
	{"memory", 1 << 20, func(l runtime.Limits) int64 { return l.Memory }},
	{"cpu", 10, func(l runtime.Limits) int64 { return int64(l.CPU) }},
	{"procs", 1, func(l runtime.Limits) int64 { return int64(l.Procs) }},
	{"disk", 1 << 20, func(l runtime.Limits) int64 { return l.Disk }},
	{"inodes", 1, func(l runtime.Limits) int64 { return l.Inodes }},
	{"io", 1 << 20, func(l runtime.Limits) int64 { return l.IO }},
	{"tmp", 1 << 20, func(l runtime.Limits) int64 { return l.Tmp }},
	{"files", 1, func(l runtime.Limits) int64 { return int64(l.Files) }},
	{"watches", 1, func(l runtime.Limits) int64 { return int64(l.Watches) }},
	{"terminals", 1, func(l runtime.Limits) int64 { return int64(l.Terminals) }},
	{"connections", 1, func(l runtime.Limits) int64 { return int64(l.Connections) }},
	{"rate", 1, func(l runtime.Limits) int64 { return int64(l.Rate) }},
}

const moreLimits = 4

// opensMore tells that one of the limits shown on demand has been changed, or is at fault.
func (f LimitsForm) opensMore() bool {
	for _, x := range LimitFields[moreLimits:] {
		if f.Blame == x.Name || f.value(x) != "" {
			return true
		}
	}
	return false
}

// usual is what stands in an empty field: the plan's figure, if it says one.
func (f LimitsForm) usual(x limitField) string {
	if n := x.of(f.Plan); n > 0 {
		return fmt.Sprint(n / x.unit)
	}
	return ""
}

// Unit is how much one stands for: bytes, thousandths of a core, processes.
func (f limitField) Unit() int64 { return f.unit }

// value is what stands in a field.
func (f LimitsForm) value(x limitField) string {
	if f.Typed != nil {
		return f.Typed[x.Name]
	}
	if n := x.of(f.Own); n > 0 {
		return fmt.Sprint(n / x.unit)
	}
	return ""
}

// plan says what the role gives.
func (f LimitsForm) plan(ctx context.Context, x limitField) string {
	n := x.of(f.Plan)
	if n == 0 {
		return t(ctx, "limit.plan-none")
	}
	key := "limit.plan"
	if hint := "limit." + x.Name + "-hint"; i18n.Has(hint) {
		key = hint
	}
	return t(ctx, key, "n", measured(ctx, "", x.Name, n))
}

// diskGrows tells that the disk has yet to reach the size it was given. A file system is a little smaller than its disk.
func (o Overview) diskGrows() bool {
	return o.Usage != nil && o.Usage.DiskMax > 0 && o.Usage.DiskMax < o.Limits.Held.Disk/10*9
}

// processor says what processor time was used, of what may be.
func processor(ctx context.Context, spent time.Duration, limit int) string {
	return t(ctx, "over.cpu-of", "t", spentTime(ctx, spent), "n", count(ctx, int64(limit)/10))
}

// spentTime says a processor time: 3,2 s, then 14 min.
func spentTime(ctx context.Context, d time.Duration) string {
	if d < time.Minute {
		return seconds(ctx, d)
	}
	return lasting(ctx, d)
}
