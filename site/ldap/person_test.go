package ldap

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// FuzzIdentify: whatever an entry holds, an Identity made of it is fit for names at the gate and lines on a page.
func FuzzIdentify(f *testing.F) {
	f.Add("uid=eleve,ou=people,dc=x", "eleve", "", "Élodie", "e@x", []byte("6d1c8f0e-0000-1000-8000-000000000000"))
	f.Add("uid=a\\2bb,dc=x", "a+b", "alias", "\x1b[2J", "\u202e", []byte{0, 1, 2, 0xff})
	f.Add("", "\xff", "x", "", "", []byte(nil))
	s := &session{config: new(Config{}.withDefaults())}
	f.Fuzz(func(t *testing.T, dn, uid, alias, name, mail string, uuid []byte) {
		values := []string{uid}
		if alias != "" {
			values = append(values, alias)
		}
		e := ldap.NewEntry(dn, map[string][]string{"uid": values, "cn": {name}, "mail": {mail}})
		e.Attributes = append(e.Attributes, &ldap.EntryAttribute{Name: "entryUUID", ByteValues: [][]byte{uuid}})
		who, err := s.identify(e)
		if err != nil {
			return
		}
		if who.Login == "" || strings.ContainsAny(who.Login, "+/: \n\x00") || !utf8.ValidString(who.Login) {
			t.Errorf("login %q", who.Login)
		}
		for _, text := range []string{who.Name, who.Mail} {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || utf8.RuneCountInString(text) > 256 {
				t.Errorf("text %q", text)
			}
		}
		if who.Key != dn && (who.Key == "" || !utf8.ValidString(who.Key)) {
			t.Errorf("key %q", who.Key)
		}
	})
}
