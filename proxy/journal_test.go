package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"petitpont/site"
)

func openJournal(t *testing.T) (*Journal, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	j, err := OpenJournal(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, dir
}

func TestAVisitIsALineOfItsSitesJournal(t *testing.T) {
	j, dir := openJournal(t)
	w := newWorld(t, func(c *Config) { c.Journal = j })
	w.site("blog", hello)
	w.site("shop", hello)
	w.do("GET", "http://BLOG.test/a%22b%0A%E9?password=secret", nil)
	w.do("GET", "http://nobody.test/", nil)
	w.srv.Close() // after it no visit is under way
	j.Close()

	text, err := os.ReadFile(filepath.Join(dir, "blogid.log"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		At               time.Time
		Host, IP, Do     string
		Path             string
		St, N            int
		Us               *int64
		Password, Secret *string
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	same(t, "line", fmt.Sprint(got.Host, got.IP, got.Do, got.Path, got.St, got.N), fmt.Sprint("blog.test", "127.0.0.1", "GET", "/a%22b%0A%E9", 200, 5))
	if got.At.IsZero() || got.Us == nil {
		t.Errorf("when and how long are missing: %s", text)
	}
	if strings.Contains(string(text), "secret") {
		t.Error("the query string is in the journal")
	}
	files, _ := os.ReadDir(dir)
	same(t, "files: none of a site that was not visited, none of a host that is nobody's", len(files), 1)
	info, _ := os.Stat(dir)
	same(t, "mode of the folder", info.Mode().Perm(), 0o700)
}

func TestAJournalIsBounded(t *testing.T) {
	j, dir := openJournal(t)
	line := append(bytes.Repeat([]byte("x"), 1023), '\n')
	const visits = 4 * journalSize / 1024
	for range visits {
		j.lines <- entry{"blog", line} // waits, so that none is lost
	}
	j.Close()
	var sum int64
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if limit := int64(2*journalSize + 2*journalBatch); sum > limit || sum < journalSize || len(files) > 2 {
		t.Errorf("%d bytes in %d files", sum, len(files))
	}
}

func TestTheDoorDoesNotWaitForTheDisk(t *testing.T) {
	said := new(lockedBuffer)
	j := &Journal{lines: make(chan entry, 1), log: slog.New(slog.NewTextHandler(said, nil))} // nobody writes
	for range 10 {
		j.Line("blog", []byte("x\n")) // would hang
	}
	j.tell("", nil)
	if !strings.Contains(said.String(), `"lines lost"=9`) {
		t.Errorf("what was lost is not told: %s", said)
	}
}

func TestLinesGoAfterAMonth(t *testing.T) {
	j, dir := openJournal(t)
	j.Close()
	began := time.Now()
	now := began
	j.now = func() time.Time { return now }
	line := func(day int) []byte { return fmt.Appendf(nil, "day %d\n", day) }
	// One visit a day for 40 days, and none after; of another site three in all.
	for day := range 80 {
		now = began.Add(time.Duration(day) * 24 * time.Hour)
		for id, visited := range map[site.ID]bool{"busy": day < 40, "rare": day == 3 || day == 17 || day == 18} {
			if !visited {
				continue
			}
			if err := j.add(id, line(day)); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(dir, string(id)+".log"), now, now); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.sweep(); err != nil {
			t.Fatal(err)
		}
		kept := journalText(t, dir)
		if old := day - 32; old >= 0 && bytes.Contains(kept, line(old)) {
			t.Errorf("on day %d there is still a line of day %d", day, old)
		}
		if young := max(day-14, 0); young < 40 && !bytes.Contains(kept, line(young)) {
			t.Errorf("on day %d there is no line of day %d any more", day, young)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("%d files stay", len(files))
	}
}

func journalText(t *testing.T, dir string) (all []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}
