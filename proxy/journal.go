package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"petitpont/site"
)

// How much a Journal holds: two files a site on the disk, and lines of all sites in memory that are not there yet.
const (
	journalSize  = 256 << 10           // bytes of one file; about a thousand visits
	journalQueue = 2048                // lines, of less than 1 KiB each
	journalBatch = 64 << 10            // bytes gathered before they are written
	journalKeep  = 15 * 24 * time.Hour // one file; a line is in one and then in the other
	journalSweep = 24 * time.Hour
)

// Journal keeps who asked a site for what, in files of its own folder: ID.log, and ID.old before it. They lie beside the
// register, where no site reaches them (RULE NS). The door never waits for the disk: lines that the disk cannot take in
// time are counted and left out. A line is kept for half a month, and a month at most, because it names an address.
//
// No file stays open: nine hundred sites cost what one does.
type Journal struct {
	dir   string
	log   *slog.Logger
	now   func() time.Time
	lines chan entry
	lost  atomic.Int64
	ended chan struct{}
	stop  context.CancelFunc
}

var _ Lines = (*Journal)(nil)

// entry is one line on its way to a site's file.
type entry struct {
	site site.ID
	line []byte
}

// OpenJournal begins to write in dir, which it makes if needed. Close ends it.
func OpenJournal(dir string, log *slog.Logger) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the journal: %w", err)
	}
	j := &Journal{dir: dir, log: log, now: time.Now, lines: make(chan entry, journalQueue), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	j.stop = cancel
	go j.run(ctx)
	return j, nil
}

// Line adds a line to the journal of a site, and takes it over. It never waits, and may be called from anywhere.
func (j *Journal) Line(id site.ID, line []byte) {
	select {
	case j.lines <- entry{id, line}:
	default:
		j.lost.Add(1)
	}
}

// Close writes what has been handed in so far and ends. Lines that come later are lost.
func (j *Journal) Close() error {
	j.stop()
	<-j.ended
	return nil
}

func (j *Journal) run(ctx context.Context) {
	defer close(j.ended)
	sweep := time.NewTicker(journalSweep)
	defer sweep.Stop()
	j.tell("sweep the journal", j.sweep())
	for {
		select {
		case first := <-j.lines:
			j.tell("write the journal", j.write(first))
		case <-sweep.C:
			j.tell("sweep the journal", j.sweep())
		case <-ctx.Done():
			select {
			case first := <-j.lines:
				j.tell("write the journal", j.write(first))
			default:
				return
			}
		}
	}
}

// tell reports an error, and what was lost meanwhile.
func (j *Journal) tell(step string, err error) {
	if err != nil {
		j.log.Warn(step, "err", err)
	}
	if n := j.lost.Swap(0); n > 0 {
		j.log.Warn("the disk is too slow for the journal", "lines lost", n)
	}
}

// write appends first and what has gathered behind it, each site's lines at once.
func (j *Journal) write(first entry) error {
	bySite := map[site.ID]*bytes.Buffer{}
	size := 0
	for next, more := first, true; more; {
		if bySite[next.site] == nil {
			bySite[next.site] = new(bytes.Buffer)
		}
		bySite[next.site].Write(next.line)
		if size += len(next.line); size > journalBatch {
			break
		}
		select {
		case next = <-j.lines:
		default:
			more = false
		}
	}
	var all error
	for id, lines := range bySite {
		all = errors.Join(all, j.add(id, lines.Bytes()))
	}
	return all
}

// add appends lines to the file of a site, and begins a new file when that one is full.
func (j *Journal) add(id site.ID, lines []byte) error {
	name := filepath.Join(j.dir, string(id)+".log")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err == nil && info.Size() >= journalSize {
		err = os.Rename(name, old(name))
	}
	return err
}

func old(name string) string { return strings.TrimSuffix(name, ".log") + ".old" }

// sweep begins a new file where the one before it had its last line half a month ago, and removes what nobody has added to
// for so long, sites that are gone among it: so every line goes within a month, however few there are.
func (j *Journal) sweep() error {
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return err
	}
	var all error
	for _, f := range files {
		name := filepath.Join(j.dir, f.Name())
		switch age := j.age(name); {
		case age >= journalKeep:
			all = errors.Join(all, os.Remove(name))
		case strings.HasSuffix(name, ".log") && j.age(old(name)) >= journalKeep:
			all = errors.Join(all, os.Rename(name, old(name)))
		}
	}
	return all
}

// age is how long ago the last line was added; a file that is not there is older than any.
func (j *Journal) age(name string) time.Duration {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return journalKeep
	}
	if err != nil {
		return 0
	}
	return j.now().Sub(info.ModTime())
}
