package ldap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"petitpont/site"
)

func wrong(err error) error { return &site.Error{Code: site.CodeWrongPassword, Err: err} }

// explain says whether the directory is away or has refused us; nil stays nil.
func explain(step string, err error) error {
	if err == nil {
		return nil
	}
	code := site.CodeDirectoryDown
	if refused(err) {
		code = site.CodeDirectoryDeny
	}
	return &site.Error{Code: code, Err: fmt.Errorf("%s: %w", step, err)}
}

// explain prefers what broke the connection to the library's "response channel closed".
func (s *session) explain(step string, err error) error {
	if cause := s.conn.GetLastError(); err != nil && cause != nil {
		err = errors.Join(err, cause)
	}
	return explain(step, err)
}

// refused tells an answer that trying again will not change. A result code is one, unless it says "busy".
func refused(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	// go-ldap's StartTLS keeps only the text of a handshake's error.
	if strings.Contains(err.Error(), "tls: failed to verify certificate") {
		return true
	}
	e, ok := errors.AsType[*ldap.Error](err)
	return ok && answered(e) && !away(e)
}

// answered tells whether the directory said it, and not the client library: its own codes begin at 200.
func answered(e *ldap.Error) bool { return e.ResultCode < ldap.ErrorNetwork }

func away(e *ldap.Error) bool {
	switch e.ResultCode {
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultTimeLimitExceeded,
		ldap.LDAPResultAdminLimitExceeded, ldap.LDAPResultOther, ldap.LDAPResultServerDown, ldap.LDAPResultTimeout:
		return true
	}
	return false
}

// explainPassword is for the bind as the person. Whatever the directory has against the account (wrong password,
// none set, locked), it is the same to whoever is at the door; only a directory that is away is not.
func (s *session) explainPassword(err error) error {
	e, ok := errors.AsType[*ldap.Error](err)
	if !ok || !answered(e) || away(e) {
		return s.explain("bind as the person", err)
	}
	return wrong(err)
}
