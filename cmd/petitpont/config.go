package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"petitpont/runtime"
	"petitpont/runtime/unshare/network"
	"petitpont/site"
	"petitpont/site/ldap"
)

// Config is the one file both processes read. Sizes and times are written as people write them: "512M", "15m".
type Config struct {
	Instance string `toml:"instance"` // label of every kernel object, [a-z0-9]{1,8} (RULE OWN)
	School   string `toml:"school"`   // name on the pages
	Contact  string `toml:"contact"`  // how to reach the IT desk, as the pages say it; may be empty
	Data     string `toml:"data"`     // disks, templates and the register
	Run      string `toml:"run"`      // sockets and states, gone with a reboot
	User     string `toml:"user"`     // who serve runs as: a name, or a number
	Network  string `toml:"network"`  // private IPv4 block that the segments are cut from, as 10.88.0.0/14

	MemoryReserve string `toml:"memory_reserve"` // left of the host's memory before sites make room for each other; see site.Config

	Resolvers []string          `toml:"resolvers"` // who answers the sites' questions for names; the host's own by default
	Egress    map[string]Egress `toml:"egress"`    // by segment
	Proxy     WebProxy          `toml:"proxy"`

	Panel struct {
		URL     string   `toml:"url"`
		Listen  []string `toml:"listen"`
		Trusted []string `toml:"trusted_proxies"` // networks whose X-Forwarded-For is believed
	} `toml:"panel"`
	Sites struct {
		Domain  string   `toml:"domain"` // sites are NAME.domain
		URL     string   `toml:"url"`    // with {name}
		Listen  []string `toml:"listen"`
		Trusted []string `toml:"trusted_proxies"` // networks whose X-Forwarded-* are believed
	} `toml:"sites"`
	SSH struct {
		Host   string   `toml:"host"`
		Port   int      `toml:"port"`
		Listen []string `toml:"listen"`
	} `toml:"ssh"`
	Template struct {
		Mirror string `toml:"mirror"` // "" is the host's own
		Proxy  string `toml:"proxy"`  // for the build only; that of all by default
	} `toml:"template"`
	LDAP  LDAP            `toml:"ldap"`
	Plans map[string]Plan `toml:"plans"`
}

// LDAP says where people are looked up. See site/ldap for the defaults.
type LDAP struct {
	URLs             []string `toml:"urls"`
	StartTLS         bool     `toml:"starttls"`
	CAFile           string   `toml:"ca_file"`
	BindDN           string   `toml:"bind_dn"`
	BindPasswordFile string   `toml:"bind_password_file"`
	BaseDN           string   `toml:"base_dn"`
	Filter           string   `toml:"filter"`
	Timeout          string   `toml:"timeout"` // for one question, over all urls: "3s"
	Groups           []Group  `toml:"groups"`

	Attributes struct { // what an entry calls them; Active Directory says sAMAccountName, displayName, mail, objectGUID
		Login string `toml:"login"`
		Name  string `toml:"name"`
		Mail  string `toml:"mail"`
		Key   string `toml:"key"`
	} `toml:"attributes"`
}

// Group gives a role, or the right to administer, to those a rule finds.
type Group struct {
	Base   string `toml:"base"`
	Filter string `toml:"filter"`
	Attr   string `toml:"attr"`
	Role   string `toml:"role"`
	Admin  bool   `toml:"admin"`
}

// Plan is what a role may have.
type Plan struct {
	Sites   int    `toml:"sites"`
	Disk    string `toml:"disk"`
	Inodes  int64  `toml:"inodes"`
	Memory  string `toml:"memory"`
	CPU     int    `toml:"cpu"` // thousandths of a core
	Procs   int    `toml:"procs"`
	Idle    string `toml:"idle"` // "0" never sleeps
	Segment string `toml:"segment"`

	// Those that are left out have the runtime's defaults.
	IO        string `toml:"io"`        // bytes a second, read and written
	Files     int    `toml:"files"`     // open ones of each process
	Watches   int    `toml:"watches"`   // of inotify
	Terminals int    `toml:"terminals"` //
	Tmp       string `toml:"tmp"`       // each of /tmp, /run and /dev/shm

	// These follow the segment if they are left out: egress.SEGMENT.
	Connections int `toml:"connections"` // open to the world at a time
	Rate        int `toml:"rate"`        // new ones a second
}

// defaultConfig is a small school on one machine.
func defaultConfig() Config {
	return Config{
		Instance: "petitpont", School: "petitpont", User: "petitpont",
		Data: "/var/lib/petitpont", Run: "/run/petitpont", Network: "10.88.0.0/14",
		Plans: map[string]Plan{
			"student":     {Sites: 3, Disk: "512M", Inodes: 65536, Memory: "256M", CPU: 1000, Procs: 128, Idle: "15m", Segment: "student"},
			"teacher":     {Sites: 20, Disk: "1G", Inodes: 131072, Memory: "512M", CPU: 1000, Procs: 256, Idle: "30m", Segment: "teacher"},
			"association": {Sites: 5, Disk: "1G", Inodes: 131072, Memory: "512M", CPU: 1000, Procs: 256, Idle: "30m", Segment: "association"},
		},
	}
}

// loadConfig reads path over the defaults. A key that nobody reads is an error with its place.
func loadConfig(path string) (Config, error) {
	c := defaultConfig()
	meta, err := toml.DecodeFile(path, &c)
	var parse toml.ParseError
	switch {
	case errors.As(err, &parse):
		return c, fmt.Errorf("%s: line %d: %s", path, parse.Position.Line, parse.Message)
	case err != nil:
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return c, fmt.Errorf("%s: line %d: unknown key %q", path, lineOf(path, unknown[0]), unknown[0])
	}
	return c, c.check()
}

// lineOf finds the line a key stands in, for the message only.
func lineOf(path string, key toml.Key) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	last := key[len(key)-1]
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), last) {
			return i + 1
		}
	}
	return 0
}

var instanceName = regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`)

func (c Config) check() error {
	if !instanceName.MatchString(c.Instance) && c.Instance != "petitpont" {
		return fmt.Errorf("instance %q: want a letter and up to 7 letters or digits", c.Instance)
	}
	if !filepath.IsAbs(c.Data) || !filepath.IsAbs(c.Run) {
		return errors.New("data and run: want absolute paths")
	}
	if c.Sites.URL != "" && !strings.Contains(c.Sites.URL, "{name}") {
		return fmt.Errorf("sites.url %q: want {name} in it", c.Sites.URL)
	}
	if err := c.checkEgress(); err != nil {
		return err
	}
	if _, err := c.memoryReserve(); err != nil {
		return err
	}
	if _, _, err := c.trusted(); err != nil {
		return err
	}
	if d, err := time.ParseDuration(cmp.Or(c.LDAP.Timeout, "1s")); err != nil || d <= 0 {
		return fmt.Errorf("ldap.timeout %q: want a time as 3s", c.LDAP.Timeout)
	}
	_, err := c.plans()
	return err
}

func (c Config) segments() ([]network.Segment, error) {
	block, err := netip.ParsePrefix(c.Network)
	if err != nil {
		return nil, fmt.Errorf("network %q: %w", c.Network, err)
	}
	all, err := network.DefaultSegments(block)
	if err != nil {
		return nil, err
	}
	return all, c.leaving(all)
}

// plans turns the written limits into what the heart counts with.
func (c Config) plans() (map[site.Role]site.Plan, error) {
	out := map[site.Role]site.Plan{}
	for name, p := range c.Plans {
		plan, err := p.parse()
		if err != nil {
			return nil, fmt.Errorf("plans.%s: %w", name, err)
		}
		out[site.Role(name)] = plan
	}
	return out, nil
}

func (p Plan) parse() (site.Plan, error) {
	disk, err := parseBytes(p.Disk)
	if err != nil {
		return site.Plan{}, fmt.Errorf("disk: %w", err)
	}
	memory, err := parseBytes(p.Memory)
	if err != nil {
		return site.Plan{}, fmt.Errorf("memory: %w", err)
	}
	idle, err := time.ParseDuration(p.Idle)
	if err != nil && p.Idle != "0" {
		return site.Plan{}, fmt.Errorf("idle: %w", err)
	}
	limits := runtime.Limits{
		Disk: disk, Inodes: p.Inodes, Memory: memory, CPU: p.CPU, Procs: p.Procs,
		Files: p.Files, Watches: p.Watches, Terminals: p.Terminals,
		Connections: p.Connections, Rate: p.Rate,
	}
	if limits.IO, err = parseBytes(cmp.Or(p.IO, "0")); err != nil {
		return site.Plan{}, fmt.Errorf("io: %w", err)
	}
	if limits.Tmp, err = parseBytes(cmp.Or(p.Tmp, "0")); err != nil {
		return site.Plan{}, fmt.Errorf("tmp: %w", err)
	}
	return site.Plan{Sites: p.Sites, Idle: idle, Segment: p.Segment, Limits: limits}, nil
}

// memoryReserve is in bytes; 0 leaves it to the heart.
func (c Config) memoryReserve() (int64, error) {
	n, err := parseBytes(cmp.Or(c.MemoryReserve, "0"))
	if err != nil {
		return 0, fmt.Errorf("memory_reserve: %w", err)
	}
	return n, nil
}

var size = regexp.MustCompile(`^([0-9]+)([KMGT]?)$`)

// parseBytes reads 512M as 512 x 1024 x 1024.
func parseBytes(s string) (int64, error) {
	m := size.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q: want a number with K, M, G or T", s)
	}
	var n int64
	if _, err := fmt.Sscan(m[1], &n); err != nil {
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	shift := 10 * strings.Index(" KMGT", m[2])
	if n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q: too large", s)
	}
	return n << shift, nil
}

// networks reads a list of them, under the key it stands.
func networks(key string, list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// trusted are the proxies in front of the panel and of the sites.
func (c Config) trusted() (panel, sites []netip.Prefix, err error) {
	panel, err1 := networks("panel.trusted_proxies", c.Panel.Trusted)
	sites, err2 := networks("sites.trusted_proxies", c.Sites.Trusted)
	return panel, sites, errors.Join(err1, err2)
}

// ldapConfig hands the directory its part.
func (c Config) ldapConfig() ldap.Config {
	l := ldap.Config{
		URLs: c.LDAP.URLs, StartTLS: c.LDAP.StartTLS, CAFile: c.LDAP.CAFile,
		BindDN: c.LDAP.BindDN, BindPasswordFile: c.LDAP.BindPasswordFile,
		BaseDN: c.LDAP.BaseDN, Filter: c.LDAP.Filter, Attributes: ldap.Attributes(c.LDAP.Attributes),
	}
	l.Timeout, _ = time.ParseDuration(c.LDAP.Timeout) // check has seen it
	for _, g := range c.LDAP.Groups {
		l.Groups = append(l.Groups, ldap.Rule{Base: g.Base, Filter: g.Filter, Attr: g.Attr, Role: site.Role(g.Role), Admin: g.Admin})
	}
	return l
}

// siteURL is the address of the site called name.
func (c Config) siteURL(name string) string { return strings.ReplaceAll(c.Sites.URL, "{name}", name) }

// selfcheckReport is where selfcheck leaves its last result for the health page.
func (c Config) selfcheckReport() string { return filepath.Join(c.Data, "selfcheck.json") }

func (c Config) socket() string    { return filepath.Join(c.Run, "runtime.sock") }
func (c Config) serveDir() string  { return filepath.Join(c.Data, "serve") }
func (c Config) templates() string { return filepath.Join(c.Data, "templates") }
