package views

import (
	"fmt"
	"strings"

	"github.com/a-h/templ"

	"petitpont/views/i18n"
)

// titleOf is the heading of an error page; statuses without one of their own share that of their class.
func titleOf(status int) string {
	if key := fmt.Sprintf("error.title-%d", status); i18n.Has(key) {
		return key
	}
	if status >= 500 {
		return "error.title-500"
	}
	return "error.title-403"
}

// blame describes a field by its hint, and by the error above the form when the field is at fault.
func blame(on bool, hint string) templ.Attributes {
	described := templ.Attributes{}
	if on {
		described["aria-invalid"] = "true"
		hint = strings.TrimSpace("login-fault " + hint)
	}
	if hint != "" {
		described["aria-describedby"] = hint
	}
	return described
}
