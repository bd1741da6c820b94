package ldaptest

import (
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// matches tells whether e fits a compiled filter. Values compare without regard to case, as uid and cn do.
func (e entry) matches(f *ber.Packet) bool {
	switch int(f.Tag) {
	case ldap.FilterAnd:
		return !slices.ContainsFunc(f.Children, func(c *ber.Packet) bool { return !e.matches(c) })
	case ldap.FilterOr:
		return slices.ContainsFunc(f.Children, e.matches)
	case ldap.FilterNot:
		return len(f.Children) == 1 && !e.matches(f.Children[0])
	case ldap.FilterPresent:
		return len(e.values(text(f))) > 0
	case ldap.FilterEqualityMatch:
		want := text(f.Children[1])
		return slices.ContainsFunc(e.values(text(f.Children[0])), func(v string) bool { return strings.EqualFold(v, want) })
	case ldap.FilterSubstrings:
		return slices.ContainsFunc(e.values(text(f.Children[0])), func(v string) bool { return fits(v, f.Children[1].Children) })
	}
	return false
}

// fits tells whether v holds the pieces of a substring filter, in their order.
func fits(v string, pieces []*ber.Packet) bool {
	v = strings.ToLower(v)
	for _, p := range pieces {
		piece := strings.ToLower(text(p))
		i := strings.Index(v, piece)
		switch {
		case i < 0, int(p.Tag) == ldap.FilterSubstringsInitial && i > 0:
			return false
		case int(p.Tag) == ldap.FilterSubstringsFinal && !strings.HasSuffix(v, piece):
			return false
		}
		v = v[i+len(piece):]
	}
	return true
}

func (e entry) values(attribute string) []string { return e.attributes[strings.ToLower(attribute)] }

// text is the string of a node of a compiled filter.
func text(p *ber.Packet) string {
	if s, ok := p.Value.(string); ok && s != "" {
		return s
	}
	return p.Data.String()
}
