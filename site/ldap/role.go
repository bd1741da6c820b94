package ldap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"petitpont/site"
)

// binding is how a rule ties a person to a group.
type binding int

const (
	byNothing binding = iota
	byLogin           // memberUid of the group
	byDN              // member of the group
	byEntry           // memberOf of the person
	byFilter          // the person's entry itself
)

func (r Rule) binding() binding {
	switch strings.ToLower(r.Attr) {
	case "memberuid":
		return byLogin
	case "member", "uniquemember":
		return byDN
	case "memberof":
		return byEntry
	case "":
		return byFilter
	}
	return byNothing
}

func (c Config) needsMemberOf() bool {
	return slices.ContainsFunc(c.Groups, func(r Rule) bool { return r.binding() == byEntry })
}

// grant gives who the role of the first rule that matches, and the admin's right if any rule does.
func (s *session) grant(who site.Identity, e *ldap.Entry) (site.Identity, error) {
	for i, r := range s.config.Groups {
		if (r.Role == "" || who.Role != "") && (!r.Admin || who.Admin) {
			continue // nothing to gain
		}
		in, err := s.matches(r, who, e)
		if err != nil {
			return site.Identity{}, s.explain(fmt.Sprintf("group rule %d", i+1), err)
		}
		if !in {
			continue
		}
		if who.Role == "" {
			who.Role = r.Role
		}
		who.Admin = who.Admin || r.Admin
	}
	if who.Role == "" {
		return site.Identity{}, &site.Error{Code: site.CodeNoRole, Args: site.Args{"login": who.Login}}
	}
	return who, nil
}

func (s *session) matches(r Rule, who site.Identity, e *ldap.Entry) (bool, error) {
	switch r.binding() {
	case byLogin:
		return s.exists(r.Base, ldap.ScopeWholeSubtree, r.with(who.Login))
	case byDN:
		return s.exists(r.Base, ldap.ScopeWholeSubtree, r.with(e.DN))
	case byFilter:
		return s.exists(e.DN, ldap.ScopeBaseObject, r.Filter)
	case byEntry:
		return r.names(e.GetEqualFoldAttributeValues("memberOf")), nil
	}
	return false, nil
}

// with is the filter for groups that have member among their members.
func (r Rule) with(member string) string {
	return fmt.Sprintf("(&%s(%s=%s))", r.Filter, r.Attr, ldap.EscapeFilter(member))
}

// names tells whether one of the groups is Base or below it, however it is written.
func (r Rule) names(groups []string) bool {
	base, err := ldap.ParseDN(r.Base)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(groups, func(g string) bool {
		dn, err := ldap.ParseDN(g)
		return err == nil && (base.EqualFold(dn) || base.AncestorOfFold(dn))
	})
}

// exists tells whether the search finds anything. A branch that is not there holds no group.
func (s *session) exists(base string, scope int, filter string) (bool, error) {
	res, err := s.search(base, scope, filter, 1, "1.1")
	switch {
	case tooMany(err):
		return true, nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return false, nil
	case err != nil:
		return false, err
	}
	return len(res.Entries) > 0, nil
}
