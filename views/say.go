package views

import (
	"context"
	"strconv"

	"petitpont/site"
	"petitpont/views/i18n"
)

// Sentence says what went wrong in the reader's language. An action named in the arguments is translated too.
func Sentence(ctx context.Context, code site.Code, args site.Args) string {
	lang := frame(ctx).Lang
	filled := i18n.Args{}
	for name, value := range args {
		if key := name + "." + value; name == "action" && i18n.Has(key) {
			value = i18n.T(lang, key)
		}
		if key := "error." + value; name == "cause" && i18n.Has(key) {
			value = i18n.T(lang, key, i18n.Args(args))
		}
		if name == "limit" {
			value = i18n.T(lang, "limit."+value)
		}
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && (name == "size" || name == "least" || name == "most") {
			value = measured(ctx, name, args["limit"], n)
		}
		filled[name] = value
	}
	return i18n.T(lang, "error."+string(code), filled)
}

// measured is a figure in the unit of the limit it belongs to.
func measured(ctx context.Context, name, limit string, n int64) string {
	switch {
	case name == "size", limit == "memory", limit == "disk", limit == "tmp":
		return size(ctx, n)
	case limit == "io":
		return size(ctx, n) + "/s"
	case limit == "cpu": // thousandths of a core
		return count(ctx, n/10) + pick(ctx, nbsp+"%", "%")
	}
	return count(ctx, n)
}

// T says key in the language of ctx, for handlers that have a word to say outside a page.
func T(ctx context.Context, key string, pairs ...string) string { return t(ctx, key, pairs...) }
