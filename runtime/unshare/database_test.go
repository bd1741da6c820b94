package unshare

import (
	"bufio"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"petitpont/runtime"
)

// clients by engine insert one row after the other and print its number once the server has said that it is kept.
var clients = map[string]struct{ insert, create, count string }{
	"mariadb": {
		`awk 'BEGIN { for (i = 1; i <= 100000; i++) printf "INSERT INTO kept VALUES (%d); SELECT %d;\n", i, i }' | mariadb -N -n --batch -u "$DB_USER" -p"$DB_PASSWORD" "$DB_NAME"`,
		`mariadb -u "$DB_USER" -p"$DB_PASSWORD" "$DB_NAME" -e 'CREATE TABLE kept (n int PRIMARY KEY)'`,
		`mariadb -N -u "$DB_USER" -p"$DB_PASSWORD" "$DB_NAME" -e 'SELECT count(*) FROM kept WHERE n <= %d'`,
	},
	"postgresql": {
		`awk 'BEGIN { for (i = 1; i <= 100000; i++) printf "INSERT INTO kept VALUES (%d);\n\\echo %d\n", i, i }' | PGPASSWORD=$DB_PASSWORD stdbuf -oL psql -qAt -v ON_ERROR_STOP=1 -U "$DB_USER" "$DB_NAME"`,
		`PGPASSWORD=$DB_PASSWORD psql -q -U "$DB_USER" "$DB_NAME" -c 'CREATE TABLE kept (n int PRIMARY KEY)'`,
		`PGPASSWORD=$DB_PASSWORD psql -qAt -U "$DB_USER" "$DB_NAME" -c 'SELECT count(*) FROM kept WHERE n <= %d'`,
	},
}

// TestAKillLosesNoCommittedRow kills a whole box in the middle of inserts, and counts after the next start.
func TestAKillLosesNoCommittedRow(t *testing.T) {
	r := open(t)
	for i, engine := range []string{"mariadb", "postgresql"} {
		t.Run(engine, func(t *testing.T) {
			s := stack{"nginx", "php", engine}.of(spec(t, i))
			r.running(t, s)
			c := clients[engine]
			if out := r.as(t, s, c.create); out != "" {
				t.Fatal(out)
			}
			p, err := r.Exec(t.Context(), s.ID, runtime.Cmd{Argv: []string{"sh", "-c", c.insert}, Env: s.Env})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.Close() }()
			acknowledged, lines := 0, bufio.NewScanner(p.Stdout())
			for lines.Scan() {
				if acknowledged, err = strconv.Atoi(lines.Text()); err != nil {
					t.Fatal(lines.Text())
				}
				if acknowledged == 500 {
					r.crash(t, s.ID) // what is on its way is still read, and counts
				}
			}
			if acknowledged < 500 {
				t.Fatalf("only %d rows were written", acknowledged)
			}
			until(t, "the end is noticed", func() bool { return r.status(t, s.ID) == runtime.Stopped })
			began := time.Now()
			r.start(t, s.ID)
			t.Logf("%d rows acknowledged, recovered in %d ms", acknowledged, time.Since(began).Milliseconds())
			if got := strings.TrimSpace(r.as(t, s, fmt.Sprintf(c.count, acknowledged))); got != strconv.Itoa(acknowledged) {
				t.Errorf("%d rows were acknowledged, %s are there", acknowledged, got)
			}
		})
	}
}

// as runs a script as the site's user with the site's environment.
func (r *rig) as(t testing.TB, s runtime.Spec, script string) string {
	t.Helper()
	var env strings.Builder
	for _, e := range s.Env {
		name, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(&env, "export %s='%s'; ", name, value)
	}
	return r.sh(t, s.ID, env.String()+script, false)
}

// TestStopEndsTheDatabaseFirst follows init while a site of each engine is stopped, and wants each end to be clean.
func TestStopEndsTheDatabaseFirst(t *testing.T) {
	r := open(t)
	for i, engine := range []string{"mariadb", "postgresql"} {
		for j, language := range []string{"php", "python", "node"} {
			t.Run(engine+" under "+language, func(t *testing.T) {
				s := stack{[]string{"nginx", "apache", "caddy"}[j], language, engine}.of(spec(t, 3*i+j))
				r.running(t, s)
				c, err := dialInit(r.boxDir(s.ID))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				if err := c.send(fields{"watch"}); err != nil {
					t.Fatal(err)
				}
				if _, _, err := c.first(); err != nil {
					t.Fatal(err)
				}
				if err := r.Stop(t.Context(), s.ID, time.Minute); err != nil { // a clean end takes what it takes
					t.Fatal(err)
				}
				var ended, how []string
				for {
					f, _, err := c.answer()
					if err != nil || len(f) != 3 {
						break
					}
					ended, how = append(ended, f[1]), append(how, f[2])
				}
				want := slices.Clone(s.Services)
				slices.Reverse(want)
				if !slices.Equal(ended, want) || want[0] != engine {
					t.Errorf("ended %v, want %v", ended, want)
				}
				for k, status := range how {
					if status != "0" {
						t.Errorf("%s ended with %s", ended[k], status)
					}
				}
			})
		}
	}
}

// TestTheDatabaseIsTheSitesOwn looks at who may enter, and by which doors.
func TestTheDatabaseIsTheSitesOwn(t *testing.T) {
	r := open(t)
	for i, engine := range []string{"mariadb", "postgresql"} {
		t.Run(engine, func(t *testing.T) {
			s := stack{"nginx", "php", engine}.of(spec(t, i))
			r.running(t, s)
			admin := map[string]string{"mariadb": "mariadb -N -e 'SELECT 6*7'", "postgresql": "psql -U postgres -At -c 'SELECT 6*7' site"}[engine]
			if got := r.sh(t, s.ID, admin, true); got != "42\n" {
				t.Errorf("root is not the administrator: %s", got)
			}
			for what, script := range map[string]string{
				"the site's user is the administrator":   admin,
				"a wrong password opens":                 strings.ReplaceAll(fmt.Sprintf(map[string]string{"mariadb": "mariadb -N -u site -pwrong site -e 'SELECT %d'", "postgresql": "PGPASSWORD=wrong psql -At -U site site -c 'SELECT %d'"}[engine], 42), "\n", ""),
				"no password opens":                      map[string]string{"mariadb": "mariadb -N -u site site -e 'SELECT 42' </dev/null", "postgresql": "psql -w -At -U site site -c 'SELECT 42'"}[engine],
				"the files can be read by the site user": map[string]string{"mariadb": "ls /var/lib/mysql/site && echo 42", "postgresql": "ls /var/lib/postgresql/data && echo 42"}[engine],
			} {
				if got := r.sh(t, s.ID, script, false); strings.HasSuffix(got, "42\n") {
					t.Errorf("%s: %s", what, got)
				}
			}
			if got := r.sh(t, s.ID, "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" {print $2}'", true); strings.Count(got, "\n") > 2 || strings.Contains(got, ":0CEA") || strings.Contains(got, ":1538") {
				t.Errorf("listens on TCP: %s", got)
			}
			before := r.as(t, s, clients[engine].create)
			changed := s
			changed.Env = slices.Clone(s.Env)
			r.stop(t, s.ID)
			c, err := r.find(s.ID)
			if err != nil {
				t.Fatal(err)
			}
			for j, e := range changed.Env {
				if strings.HasPrefix(e, "DB_PASSWORD=") {
					changed.Env[j] = "DB_PASSWORD=another1Password2here"
				}
			}
			c.record.Spec.Env = changed.Env
			r.leave(c)
			r.start(t, s.ID)
			if got := r.as(t, changed, fmt.Sprintf(clients[engine].count, 1)); before != "" || strings.TrimSpace(got) != "0" {
				t.Errorf("a new password of the register is not the database's: %q %q", before, got)
			}
		})
	}
}
