package views

import (
	"context"

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
		filled[name] = value
	}
	return i18n.T(lang, "error."+string(code), filled)
}

// T says key in the language of ctx, for handlers that have a word to say outside a page.
func T(ctx context.Context, key string, pairs ...string) string { return t(ctx, key, pairs...) }
