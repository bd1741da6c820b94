package sshgate

import (
	"errors"

	"petitpont/site"
)

func isCode(err error, code site.Code) bool {
	var e *site.Error
	return errors.As(err, &e) && e.Code == code
}
