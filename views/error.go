package views

import (
	"fmt"

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
