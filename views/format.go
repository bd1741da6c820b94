package views

import (
	"context"
	"fmt"
	"strings"
	"time"

	"petitpont/views/i18n"
)

const nbsp = "\u00a0"

var months = map[i18n.Lang][]string{
	i18n.FR: {"janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."},
	i18n.EN: {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
}

// moment says a date and time: 20 nov. 2026, 09:12.
func moment(ctx context.Context, at time.Time) string {
	at = at.In(frame(ctx).Now.Location())
	month := months[frame(ctx).Lang][at.Month()-1]
	return fmt.Sprintf("%d%s%s %d, %s", at.Day(), nbsp, month, at.Year(), at.Format("15:04"))
}

// clock says the time of day.
func clock(ctx context.Context) string { return frame(ctx).Now.Format("15:04") }

// ago says how long ago at was, coarsely; the exact moment belongs into the title beside it.
func ago(ctx context.Context, at time.Time) string {
	d := frame(ctx).Now.Sub(at)
	if d < time.Minute {
		return pick(ctx, "à l’instant", "just now")
	}
	if frame(ctx).Lang == i18n.FR {
		return "il y a " + lasting(ctx, d)
	}
	return lasting(ctx, d) + " ago"
}

// lasting says a duration in its largest unit: 3 min, 5 h, 2 jours.
func lasting(ctx context.Context, d time.Duration) string {
	switch {
	case d < time.Minute:
		return pick(ctx, "moins d’une minute", "less than a minute")
	case d < time.Hour:
		return fmt.Sprintf("%d%smin", int(d.Minutes()), nbsp)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d%sh", int(d.Hours()), nbsp)
	case d < 48*time.Hour:
		return pick(ctx, "1"+nbsp+"jour", "1"+nbsp+"day")
	}
	return fmt.Sprintf("%d%s%s", int(d.Hours()/24), nbsp, pick(ctx, "jours", "days"))
}

// seconds says a short duration: 0,4 s.
func seconds(ctx context.Context, d time.Duration) string {
	s := fmt.Sprintf("%.1f", d.Seconds())
	if frame(ctx).Lang == i18n.FR {
		s = strings.ReplaceAll(s, ".", ",")
	}
	return s + nbsp + "s"
}

// count says a number with the thousands of the language: 262 144 or 262,144.
func count(ctx context.Context, n int64) string {
	s := fmt.Sprint(n)
	sep := pick(ctx, "\u202f", ",")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + sep + s[i:]
	}
	return s
}

func size(ctx context.Context, n int64) string { return i18n.Bytes(frame(ctx).Lang, n) }

// outOf says a use and its limit: 120 Mo sur 512 Mo.
func outOf(ctx context.Context, used, limit int64) string {
	return t(ctx, "over.of", "u", size(ctx, used), "q", size(ctx, limit))
}

// percent is used of limit, between 0 and 100; 0 when there is no limit to compare with.
func percent(used, limit int64) int {
	if limit <= 0 || used <= 0 {
		return 0
	}
	return int(min(100, used*100/limit))
}

func pick(ctx context.Context, fr, en string) string {
	if frame(ctx).Lang == i18n.FR {
		return fr
	}
	return en
}
