package ldaptest

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"petitpont/site"
)

// Person is one account.
type Person struct {
	Login    string
	Password string
	Name     string
	Mail     string
	Role     site.Role // empty: in no group
	Admin    bool
}

// DemoPassword opens every account of Demo. It is shown on the screen and opens nothing else.
const DemoPassword = "petitpont"

// Demo is the school of `petitpont demo`.
func Demo() []Person {
	return []Person{
		{"eleve", DemoPassword, "Élodie Martin", "elodie.martin@ecole.example", site.Student, false},
		{"prof", DemoPassword, "Youssef Benali", "youssef.benali@ecole.example", site.Teacher, false},
		{"asso", DemoPassword, "Club Robotique", "robotique@ecole.example", site.Association, false},
		{"admin", DemoPassword, "Anaïs Lefèvre", "anais.lefevre@ecole.example", site.Teacher, true},
	}
}

const (
	suffix   = "dc=ecole,dc=example"
	peopleDN = "ou=people," + suffix
	groupsDN = "ou=groups," + suffix
	bindDN   = "cn=petitpont," + suffix
)

// entry is a person or a group as the directory holds it.
type entry struct {
	dn         string
	attributes map[string][]string // names in lower case
	password   string
}

func (p Person) entry() entry {
	return entry{
		dn:       fmt.Sprintf("uid=%s,%s", p.Login, peopleDN),
		password: p.Password,
		attributes: map[string][]string{
			"objectclass": {"top", "person", "organizationalPerson", "inetOrgPerson"},
			"uid":         {p.Login}, "cn": {p.Name}, "mail": {p.Mail}, "entryuuid": {p.key()},
		},
	}
}

// key is the same in every run, so that a second demo finds the sites of the first.
func (p Person) key() string {
	h := sha256.Sum256([]byte(p.Login))
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// groups are posixGroups by role, and one for admins.
func groups(people []Person) []entry {
	var all []entry
	for _, g := range []struct {
		name string
		in   func(Person) bool
	}{
		{"student", func(p Person) bool { return p.Role == site.Student }},
		{"teacher", func(p Person) bool { return p.Role == site.Teacher }},
		{"association", func(p Person) bool { return p.Role == site.Association }},
		{"admin", func(p Person) bool { return p.Admin }},
	} {
		var members []string
		for _, p := range people {
			if g.in(p) {
				members = append(members, p.Login)
			}
		}
		all = append(all, entry{dn: groupDN(g.name), attributes: map[string][]string{
			"objectclass": {"top", "posixGroup"}, "cn": {g.name}, "memberuid": members,
		}})
	}
	return all
}

func groupDN(name string) string { return "cn=" + name + "," + groupsDN }

// below tells whether dn is base or under it.
func below(dn, base string) bool {
	dn, base = strings.ToLower(dn), strings.ToLower(base)
	return dn == base || strings.HasSuffix(dn, ","+base)
}
