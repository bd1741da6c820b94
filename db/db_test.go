package db

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"petitpont/site"
	"petitpont/site/sitetest"
)

func open(t *testing.T, path string) *DB {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func fresh(t *testing.T) *DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "petitpont.db"))
}

func TestStore(t *testing.T) {
	sitetest.TestStore(t, func(t *testing.T) site.Store { return fresh(t) })
}

func TestOpen(t *testing.T) {
	t.Run("a path with anything in it is a path", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "été ?_journal_mode=DELETE&x#50%.db")
		d := open(t, path)
		if _, err := d.Add(t.Context(), sitetest.NewSite(1), 1); err != nil {
			t.Fatal(err)
		}
		if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", i, err)
		}
		if i, err := os.Stat(path + "-wal"); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("log: %v, %v", i, err)
		}
	})
	t.Run("what was stored is there after it is opened again", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "petitpont.db")
		d := open(t, path)
		want, err := d.Add(t.Context(), sitetest.NewSite(1), 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		all, err := open(t, path).Sites(t.Context())
		if err != nil || len(all) != 1 || all[0].Name != want.Name || all[0].Slot != want.Slot {
			t.Errorf("%v, %v", all, err)
		}
	})
	t.Run("an absent folder and a file that is no register are refused", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := Open(filepath.Join(dir, "no", "such.db")); err == nil {
			t.Error("opened in an absent folder")
		}
		path := filepath.Join(dir, "text.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil {
			t.Error("opened a text")
		}
	})
}

// Each setting, taken away, is noticed at the next Open.
func TestAssert(t *testing.T) {
	for setting, without := range map[string]string{
		"journal_mode": "_journal_mode=DELETE",
		"busy_timeout": "_busy_timeout=1",
		"foreign_keys": "_foreign_keys=off",
		"synchronous":  "_synchronous=NORMAL",
		"write lock":   "_txlock=deferred",
	} {
		t.Run(setting, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "petitpont.db")
			good := dsn(path)
			key, _, _ := strings.Cut(without, "=")
			var kept []string
			base, settings, _ := strings.Cut(good, "?")
			for _, s := range strings.Split(settings, "&") {
				if !strings.HasPrefix(s, key+"=") {
					kept = append(kept, s)
				}
			}
			pool, err := sql.Open("sqlite3", base+"?"+strings.Join(append(kept, without), "&"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = pool.Close() }()
			err = (&DB{pool: pool}).assert(t.Context())
			if err == nil || !strings.Contains(err.Error(), setting) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	t.Run("an earlier register is copied, then brought up to date", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "petitpont.db")
		d := open(t, path)
		if _, err := d.Add(t.Context(), sitetest.NewSite(1), 1); err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{
			`DROP TABLE places`, `DELETE FROM migrations WHERE id = '0008-places'`,
		} {
			if err := d.orm.Exec(statement).Error; err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d = open(t, path)
		if all, err := d.Sites(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("after: %v, %v", all, err)
		}
		copied := path + ".before-0008-places"
		if i, err := os.Stat(copied); err != nil || i.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", i, err)
		}
		all, err := open(t, copied).Sites(t.Context())
		if err != nil || len(all) != 1 {
			t.Errorf("the copy holds %v, %v", all, err)
		}
	})
	t.Run("a site of before databases, limits and waves is read", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "petitpont.db")
		released := steps
		defer func() { steps = released }()
		steps = released[:3]
		d := open(t, path)
		if err := d.orm.Exec(`INSERT INTO sites VALUES ('abcdefghij', 'blog', 'uuid-1', 'eleve', 'student', 'web', 'nginx', 'php', 'none',
			1, 'up', 'asleep', '', 0, 1, 1, 1, 1)`).Error; err != nil {
			t.Fatal(err)
		}
		_ = d.Close()
		steps = released
		all, err := open(t, path).Sites(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		if s := all[0]; s.Name != "blog" || s.Password != "" || (site.Limits{Own: s.Own}).Special() || s.Kept+s.MovedFrom != "" || s.KeptFault != nil || s.Stack.HasDatabase() {
			t.Errorf("%+v", s)
		}
	})
	t.Run("one that is up to date is not copied", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "petitpont.db")
		for range 2 {
			if err := open(t, path).Close(); err != nil {
				t.Fatal(err)
			}
		}
		if found, _ := filepath.Glob(path + ".before-*"); len(found) != 0 {
			t.Errorf("found %v", found)
		}
	})
	t.Run("a register of a later version is refused, unchanged", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "petitpont.db")
		d := open(t, path)
		if err := d.orm.Exec(`INSERT INTO migrations (id) VALUES ('9999-later')`).Error; err != nil {
			t.Fatal(err)
		}
		_ = d.Close()
		if _, err := Open(path); err == nil {
			t.Error("opened")
		}
	})
	t.Run("a step that fails changes nothing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "petitpont.db")
		_ = open(t, path).Close()
		released := steps
		defer func() { steps = released }()
		steps = append(steps[:len(steps):len(steps)],
			step{"9998-half", []string{`CREATE TABLE half (x INTEGER)`, `this is no SQL`}})
		if _, err := Open(path); err == nil {
			t.Fatal("opened")
		}
		steps = released
		d := open(t, path)
		var n int64
		if err := d.orm.Raw(`SELECT count(*) FROM sqlite_schema WHERE name = 'half'`).Scan(&n).Error; err != nil || n != 0 {
			t.Errorf("%d tables, %v", n, err)
		}
	})
}

// Read-then-write transactions of many goroutines and two processes' worth of pools never fail (DEPENDENCIES 0.7).
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "petitpont.db")
	pools := []*DB{open(t, path), open(t, path)}
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range 8 {
				s := sitetest.NewSite(n*100 + i)
				if _, err := pools[n%2].Add(context.Background(), s, 100); err != nil {
					t.Errorf("add %s: %v", s.Name, err)
				}
			}
		})
	}
	all.Wait()
	rows, err := pools[0].Sites(t.Context())
	if err != nil || len(rows) != 16*8 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

const childEnv = "PETITPONT_DB_TEST_CHILD"

// A register whose writer is killed in the middle is whole and holds all that was acknowledged (SAFETY R9).
func TestKilledWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "petitpont.db")
	next, acked := 0, map[string]bool{}
	for round := range 10 {
		for n := range killedWriter(t, path, next, 3+7*round) {
			acked[fmt.Sprintf("site-%d", next+n)] = true
		}
		d := open(t, path)
		var verdict string
		if err := d.orm.Raw(`PRAGMA integrity_check`).Scan(&verdict).Error; err != nil || verdict != "ok" {
			t.Fatalf("round %d: integrity %q, %v", round, verdict, err)
		}
		rows, err := d.Sites(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		whole := map[string]bool{}
		for _, r := range rows {
			whole[r.Name] = r.Epoch == 1
		}
		for name := range acked {
			if !whole[name] {
				t.Fatalf("round %d: %s was acknowledged and is not there as it was", round, name)
			}
		}
		next = len(rows) // the last may be there without having been acknowledged
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killedWriter starts a writer at row from, kills it after some acknowledgements, and returns how many there were.
func killedWriter(t *testing.T, path string, from, more int) int {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChildWrites$")
	child.Env = append(os.Environ(), childEnv+"="+path, "PETITPONT_DB_TEST_FROM="+strconv.Itoa(from))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acked := from
	lines := bufio.NewScanner(out)
	for acked < from+more && lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "ack "); ok {
			if n != strconv.Itoa(acked) {
				t.Errorf("acknowledged %s, want %d", n, acked)
			}
			acked++
		}
	}
	_ = child.Process.Kill()
	for lines.Scan() { // what it had said before it died counts as well
		if strings.HasPrefix(lines.Text(), "ack ") {
			acked++
		}
	}
	_ = child.Wait()
	if acked < from+more {
		t.Fatalf("the writer ended after %d rows", acked-from)
	}
	return acked - from
}

// TestChildWrites is the writer of TestKilledWhileWriting: without its path it has nothing to do.
func TestChildWrites(t *testing.T) {
	path := os.Getenv(childEnv)
	if path == "" {
		return
	}
	from, err := strconv.Atoi(os.Getenv("PETITPONT_DB_TEST_FROM"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := from; ; n++ {
		s, err := d.Add(context.Background(), sitetest.NewSite(n), 1)
		if err != nil {
			t.Fatal(err)
		}
		s.Epoch = 1
		if err := d.Update(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("ack %d\n", n)
	}
}

// A write that takes long holds up the writes behind it, and nobody who reads.
func TestWritersThatWaitLeaveReadersTheirConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "petitpont.db")
	d := open(t, path)
	other, err := sql.Open("sqlite3", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	long, err := other.BeginTx(t.Context(), nil) // immediate: it has the write lock
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 3 * d.pool.Stats().MaxOpenConnections {
		writers.Go(func() {
			for t.Context().Err() == nil { // a machine that stands still for busyTimeout is not what is tried here
				if _, err := d.Revoke(t.Context(), "uuid-"+strconv.Itoa(i)); err == nil {
					return
				}
			}
		})
	}
	for d.pool.Stats().InUse == 0 { // one of them asks SQLite
		goruntime.Gosched()
	}
	for range 5000 { // enough for every writer to have come as far as it can
		if _, err := d.Epoch(t.Context(), "uuid-0"); err != nil {
			t.Fatal(err)
		}
		if n := d.pool.Stats().WaitCount; n > 0 {
			t.Fatalf("a connection was waited for %d times", n)
		}
	}
	if err := long.Rollback(); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
}
