package site

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// A name is the label of a site's host name.
const (
	nameMin = 3
	nameMax = 40
)

// ligatures are letters that decomposition leaves whole.
var ligatures = strings.NewReplacer(
	"œ", "oe", "æ", "ae", "ß", "ss", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i",
)

// CleanName turns what a person typed into the name it will be: spaces around it dropped, small letters, accents
// converted (école becomes ecole). A CodeNameBad carries the first thing wrong as c and a form that would do as fix;
// a CodeNameReserved the name as n. Whether the name is free is for CheckName to say.
func CleanName(raw string) (string, error) {
	name := plain(raw)
	if c := wrong(name); c != "" {
		return "", &Error{Code: CodeNameBad, Args: Args{"c": c, "fix": mend(name)}}
	}
	if reserved(name) {
		return "", &Error{Code: CodeNameReserved, Args: Args{"n": name, "a": mend(name + "-site")}}
	}
	return name, nil
}

// plain drops case and accents and nothing else.
func plain(raw string) string {
	s := strings.ToLower(strings.TrimSpace(raw))
	marks := transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), norm.NFC)
	if t, _, err := transform.String(marks, s); err == nil {
		s = t
	}
	return strings.ToLower(ligatures.Replace(s))
}

// wrong is the first thing that keeps s from being a name, for a person to see; "" when nothing does.
func wrong(s string) string {
	for _, r := range s {
		if !letter(r) {
			return string(r)
		}
	}
	switch {
	case len(s) < nameMin:
		return fmt.Sprintf("%d < %d", len(s), nameMin)
	case len(s) > nameMax:
		return fmt.Sprintf("%d > %d", len(s), nameMax)
	case strings.HasPrefix(s, "-"), strings.HasSuffix(s, "-"):
		return "-"
	case strings.Contains(s, "--"):
		return "--"
	}
	return ""
}

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' }

// mend makes the nearest name that is neither wrong nor reserved.
func mend(s string) string {
	dashes := func(r rune) rune {
		if letter(r) {
			return r
		}
		return '-'
	}
	s = strings.Join(strings.FieldsFunc(strings.Map(dashes, s), func(r rune) bool { return r == '-' }), "-")
	s = cut(s, nameMax)
	if len(s) < nameMin {
		s = strings.Trim("site-"+s, "-")
	}
	if reserved(s) {
		s = cut(s, nameMax-len("-site")) + "-site"
	}
	return s
}

func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.TrimRight(s, "-")
}

// reservedNames are labels that people, mail programs, browsers and certificate authorities give a meaning to
// (RULE ORIGIN, and the host names that must stay the school's own).
var reservedNames = setOf(
	// the panel and what a login page could be called
	"panel", "panneau", "admin", "administration", "administrateur", "administrator", "root", "petitpont",
	"login", "signin", "sign-in", "connexion", "connection", "auth", "sso", "cas", "idp", "oauth", "saml",
	"account", "accounts", "compte", "comptes", "password", "motdepasse", "mot-de-passe", "secure", "security",
	"api", "app", "static", "assets", "cdn", "status", "statut", "help", "aide", "support", "dashboard",
	// mail
	"mail", "mails", "email", "webmail", "smtp", "imap", "pop", "pop3", "exchange", "owa", "postmaster", "abuse",
	"hostmaster", "webmaster", "noreply", "no-reply", "autodiscover", "autoconfig", "mta-sts", "dmarc", "dkim", "spf",
	// the machine and its network
	"localhost", "local", "localdomain", "broadcasthost", "gateway", "router", "proxy", "wpad", "isatap", "dns",
	"ldap", "ldaps", "ssh", "sftp", "ftp", "ftps", "scp", "vpn", "rdp", "host", "server", "serveur", "backup",
	"test-cert", "acme", "acme-challenge", "well-known", "ocsp", "crl", "pki", "ntp", "radius", "kerberos",
)

// reservedForms are families: www2, ns1, mx10. The subject NSI is not one of them.
var reservedForms = regexp.MustCompile(`^(www|web|ns|mx|smtp|imap|pop|dns|ntp|ftp|mail|vpn|srv)[0-9]*$|^_|^xn--`)

func reserved(name string) bool {
	return reservedNames[name] || reservedForms.MatchString(name)
}

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// alternatives are names near name, best first: with the login, then numbered. There is always one more.
func alternatives(name, login string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		l := cut(mend(plain(login)), nameMax/2)
		if login != "" && l != name && !yield(mend(cut(name, nameMax-len(l)-1)+"-"+l)) {
			return
		}
		for n := 2; ; n++ {
			suffix := fmt.Sprintf("-%d", n)
			if !yield(mend(cut(name, nameMax-len(suffix)) + suffix)) {
				return
			}
		}
	}
}
