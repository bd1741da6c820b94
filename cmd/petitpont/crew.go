package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// member is one process of the demo. uid 0 stays root; anybody else gets no group, no capability and no way back.
type member struct {
	name      string
	args      []string
	uid       uint32
	vital     bool // the demo ends with it, instead of starting it again
	listeners []*os.File
	names     []string
}

// crew keeps the demo's processes running: one that ends is started again, as systemd would.
type crew struct {
	out    *os.File // the log
	log    *slog.Logger
	failed chan error // a member that cannot stay up

	mu     sync.Mutex
	ending bool
	live   map[string]*os.Process
	order  []string
	done   sync.WaitGroup
	died   chan os.Signal // a child has; closed when the crew has stopped
	reaper sync.WaitGroup
}

// restarts bounds how often a member may end within a minute before the demo gives up.
const restarts = 10

// newCrew also makes this process the one that orphans fall back to: when the root process is killed, the sites'
// inits become our children, and we reap them.
func newCrew(out *os.File, log *slog.Logger) *crew {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	c := &crew{out: out, log: log, failed: make(chan error, 1), live: map[string]*os.Process{}, died: make(chan os.Signal, 1)}
	signal.Notify(c.died, syscall.SIGCHLD)
	c.reaper.Go(c.adoptOrphans)
	return c
}

// adoptOrphans reaps children that are not members, until the crew stops: from then on this process waits for children
// of its own, which must not be taken from it. Members are left to their own Wait.
func (c *crew) adoptOrphans() {
	for range c.died {
		list, _ := filepath.Glob("/proc/self/task/*/children")
		for _, file := range list {
			text, _ := os.ReadFile(file)
			for _, field := range strings.Fields(string(text)) {
				if pid, err := strconv.Atoi(field); err == nil && !c.isMember(pid) {
					_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
				}
			}
		}
	}
}

// isMember tells whether pid is one of ours; launch holds the lock from fork to registration.
func (c *crew) isMember(pid int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.live {
		if p.Pid == pid {
			return true
		}
	}
	return false
}

func (c *crew) start(m member) {
	c.order = append(c.order, m.name)
	c.done.Add(1)
	go c.keep(m)
}

// keep runs m until the crew ends. The thread is locked for its whole life, since the kernel ties PDEATHSIG to the
// thread that forked (prctl(2)), and thrown away at its end, since no_new_privs cannot be taken back.
func (c *crew) keep(m member) {
	goruntime.LockOSThread()
	defer c.done.Done()
	if m.uid != 0 {
		_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	var ends []time.Time
	for {
		cmd := c.command(m)
		if !c.launch(m, cmd) {
			return
		}
		err := cmd.Wait()
		if c.isEnding() {
			return
		}
		c.log.Warn("process ended, starting it again", "name", m.name, "err", err)
		ends = append(ends, time.Now())
		if m.vital {
			c.fail(fmt.Errorf("%s ended: %w%s (see the log)", m.name, err, lastWord(c.out)))
			return
		}
		if len(ends) > restarts && time.Since(ends[len(ends)-restarts]) < time.Minute {
			c.fail(fmt.Errorf("%s ended %d times within a minute: %w%s (see the log)", m.name, restarts, err, lastWord(c.out)))
			return
		}
	}
}

// lastWord is what a member said when it gave up, as main writes it, or nothing.
func lastWord(out *os.File) string {
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return ""
	}
	lines := strings.Split(string(text[max(0, len(text)-8192):]), "\n")
	for _, line := range slices.Backward(lines) {
		if why, ok := strings.CutPrefix(line, "petitpont: "); ok {
			return ": " + why
		}
	}
	return ""
}

// fail tells the first failure; nobody listens for a second, and who waited to tell one could not be ended.
func (c *crew) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

func (c *crew) command(m member) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", m.args...) // by no path: Debian's homes are closed to whom serve runs as
	cmd.Args[0] = "petitpont"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = c.out, c.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if m.uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: m.uid, Gid: m.uid}
	}
	if len(m.listeners) > 0 {
		cmd.ExtraFiles = m.listeners
		cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(m.listeners)), "LISTEN_FDNAMES="+strings.Join(m.names, ":"))
	}
	return cmd
}

func (c *crew) launch(m member, cmd *exec.Cmd) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return false
	}
	if err := cmd.Start(); err != nil {
		c.fail(fmt.Errorf("start %s: %w", m.name, err))
		return false
	}
	c.live[m.name] = cmd.Process
	return true
}

func (c *crew) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// stop ends the members, the last started first, and waits for them.
func (c *crew) stop() {
	signal.Ignore(syscall.SIGINT) // a second Ctrl+C must not cut the tidying short
	c.mu.Lock()
	c.ending = true
	for i := len(c.order) - 1; i >= 0; i-- {
		if p := c.live[c.order[i]]; p != nil {
			_ = p.Signal(syscall.SIGTERM)
		}
	}
	c.mu.Unlock()
	c.done.Wait()
	signal.Stop(c.died)
	close(c.died)
	c.reaper.Wait()
}

// waitFor returns once path exists.
func waitFor(ctx context.Context, c *crew, path string) error {
	return poll(ctx, c, path, func() bool { _, err := os.Stat(path); return err == nil })
}

// waitAnswer returns once url answers with anything. A question that hangs is given up, since the demo's own listener
// takes it even while nobody serves.
func waitAnswer(ctx context.Context, c *crew, url string) error {
	client := http.Client{Timeout: 10 * time.Second}
	return poll(ctx, c, url, func() bool {
		res, err := client.Get(url) //nolint:gosec,noctx // our own panel on loopback
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return true
	})
}

func poll(ctx context.Context, c *crew, what string, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case err := <-c.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
	return nil
}
