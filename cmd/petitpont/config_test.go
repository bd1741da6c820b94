package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"petitpont/site"
	"petitpont/site/ldap"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "petitpont.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigThatIsWrongSaysWhere(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a key nobody reads":         {"school = \"x\"\n\nshcool = \"y\"\n", "line 3: unknown key \"shcool\""},
		"a key nobody reads, deeper": {"[panel]\nurl = \"x\"\nlistn = []\n", "line 3: unknown key \"panel.listn\""},
		"broken TOML":                {"school = \n", "line 1"},
		"a relative folder":          {"data = \"here\"\n", "absolute"},
		"sites without a name":       {"[sites]\nurl = \"http://x\"\n", "{name}"},
		"an instance with a slash":   {"instance = \"a/b\"\n", "instance"},
		"a size nobody can read":     {"[plans.student]\ndisk = \"a lot\"\nmemory = \"1G\"\nidle = \"0\"\n", "plans.student: disk"},
		"a time nobody can read":     {"[plans.student]\ndisk = \"1G\"\nmemory = \"1G\"\nidle = \"soon\"\n", "plans.student: idle"},
		"a proxy that is no network": {"[panel]\ntrusted_proxies = [\"10.0.0.1\"]\n", "panel.trusted_proxies"},
		"a timeout nobody can read":  {"[ldap]\ntimeout = \"soon\"\n", "ldap.timeout"},
		"a reserve nobody can read":  {"memory_reserve = \"some\"\n", "memory_reserve"},
		"a network that is none":     {"network = \"10.0.0.0\"\n", "network"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := loadConfig(write(t, c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestConfigKeepsDefaultsThatAFileDoesNotName(t *testing.T) {
	c, err := loadConfig(write(t, "school = \"Lycée\"\n[plans.student]\nsites = 2\ndisk = \"64M\"\nmemory = \"128M\"\nidle = \"1m\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	plans, err := c.plans()
	if err != nil {
		t.Fatal(err)
	}
	if p := plans[site.Student]; p.Sites != 2 || p.Limits.Disk != 64<<20 || p.Limits.Memory != 128<<20 {
		t.Errorf("student: %+v", p)
	}
	if plans[site.Teacher].Sites != 20 || c.Data != "/var/lib/petitpont" || c.School != "Lycée" {
		t.Errorf("defaults: %+v", c)
	}
}

func TestSizesAreWrittenAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "17": 17, "1K": 1 << 10, "512M": 512 << 20, "2G": 2 << 30, "1T": 1 << 40} {
		if n, err := parseBytes(text); err != nil || n != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "-1", "1.5G", "M", "1GB", "99999999999999999999", "9999999999T"} {
		if n, err := parseBytes(text); err == nil {
			t.Errorf("%s: taken for %d", text, n)
		}
	}
}

func TestServeIsNeverRoot(t *testing.T) {
	for _, user := range []string{"0", "root", "nobody-has-this-name"} {
		if _, _, err := serveUser(user); err == nil {
			t.Errorf("user %q was accepted", user)
		}
	}
	if uid, gid, err := serveUser("64990"); err != nil || uid != 64990 || gid != 64990 {
		t.Errorf("a number: %d %d %v", uid, gid, err)
	}
}

func TestListenersOfAnotherProcessAreLeftAlone(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "3")
	if found, err := inheritedListeners(); err != nil || len(found) != 0 {
		t.Fatalf("took %v, %v", found, err)
	}
}

func TestADirectoryIsReadAsItIsWritten(t *testing.T) {
	c, err := loadConfig(write(t, `
[panel]
trusted_proxies = ["10.0.0.0/8", "2001:db8::/32"]
[ldap]
urls = ["ldaps://ad.ecole.example"]
bind_dn = "CN=petitpont,DC=ecole,DC=example"
bind_password_file = "/etc/petitpont/ad.secret"
base_dn = "DC=ecole,DC=example"
filter = "(&(objectClass=user)(sAMAccountName={login}))"
timeout = "5s"
[ldap.attributes]
login = "sAMAccountName"
name = "displayName"
mail = "userPrincipalName"
key = "objectGUID"
[[ldap.groups]]
base = "CN=Eleves,DC=ecole,DC=example"
attr = "memberOf"
role = "student"
`))
	if err != nil {
		t.Fatal(err)
	}
	want := ldap.Config{
		URLs: []string{"ldaps://ad.ecole.example"}, BindDN: "CN=petitpont,DC=ecole,DC=example", BindPasswordFile: "/etc/petitpont/ad.secret",
		BaseDN: "DC=ecole,DC=example", Filter: "(&(objectClass=user)(sAMAccountName={login}))", Timeout: 5 * time.Second,
		Attributes: ldap.Attributes{Login: "sAMAccountName", Name: "displayName", Mail: "userPrincipalName", Key: "objectGUID"},
		Groups:     []ldap.Rule{{Base: "CN=Eleves,DC=ecole,DC=example", Attr: "memberOf", Role: site.Student}},
	}
	got := c.ldapConfig()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if again := (Config{LDAP: describe(got)}).ldapConfig(); !reflect.DeepEqual(again, want) {
		t.Errorf("written and read again: %+v", again)
	}
	if panel, sites, err := c.trusted(); err != nil || len(panel) != 2 || len(sites) != 0 {
		t.Errorf("%v, %v, %v", panel, sites, err)
	}
}
