package ldap

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"petitpont/site"
)

// identify reads who an entry is. An entry that leaves doubt is an error, never a guess (RULE ID).
func (s *session) identify(e *ldap.Entry) (site.Identity, error) {
	a := s.config.Attributes
	login, err := canonical(e, a.Login)
	if err != nil {
		return site.Identity{}, err
	}
	return site.Identity{
		Key:   key(e, a.Key),
		Login: login,
		Name:  orElse(line(e.GetEqualFoldAttributeValue(a.Name)), login),
		Mail:  line(e.GetEqualFoldAttributeValue(a.Mail)),
	}, nil
}

// canonical is the login as the entry has it. Of several values it is the one the entry is named by, since their
// order means nothing.
func canonical(e *ldap.Entry, attribute string) (string, error) {
	values := e.GetEqualFoldAttributeValues(attribute)
	login := ""
	switch {
	case len(values) == 0:
		return "", fmt.Errorf("entry %s has no %s", e.DN, attribute)
	case len(values) == 1:
		login = values[0]
	default:
		login = named(e.DN, attribute)
	}
	if login == "" || !utf8.ValidString(login) || len(login) > maxLogin || strings.ContainsFunc(login, unfit) {
		return "", fmt.Errorf("entry %s has no usable %s", e.DN, attribute)
	}
	return login, nil
}

// unfit is what no login holds: control characters, spaces, and the signs that part names at the gate.
func unfit(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || r == '+' || r == '/' || r == ':' || r == utf8.RuneError
}

// named is the value of attribute in the entry's own name.
func named(dn, attribute string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil || len(parsed.RDNs) == 0 {
		return ""
	}
	for _, a := range parsed.RDNs[0].Attributes {
		if strings.EqualFold(a.Type, attribute) {
			return a.Value
		}
	}
	return ""
}

// key is the entry's stable name; a binary one, as Active Directory's objectGUID, in hexadecimal.
func key(e *ldap.Entry, attribute string) string {
	raw := e.GetEqualFoldRawAttributeValue(attribute)
	switch {
	case len(raw) == 0:
		return e.DN
	case !utf8.Valid(raw) || strings.ContainsFunc(string(raw), unicode.IsControl):
		return hex.EncodeToString(raw)
	}
	return string(raw)
}

// line makes one short line of a display text: it is shown as text only (RULE TEXT), but shown to others.
func line(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	runes := []rune(strings.TrimSpace(s))
	return string(runes[:min(len(runes), most)])
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
