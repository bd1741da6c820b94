package site

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"petitpont/runtime"
)

// A site that ends so often in so short a time is no longer restarted by itself.
const (
	loopEnds   = 5
	loopWithin = 10 * time.Minute
)

// crashes remembers recent ends.
type crashes struct {
	at    []time.Time
	cause string // of the first
}

// add counts an end and tells whether it is one too many.
func (c *crashes) add(at time.Time, cause string) (looping bool) {
	c.at = slices.DeleteFunc(c.at, func(t time.Time) bool { return at.Sub(t) >= loopWithin })
	if len(c.at) == 0 {
		c.cause = cause
	}
	c.at = append(c.at, at)
	return len(c.at) >= loopEnds
}

// listen hears of ends until the service closes.
func (v *Service) listen() <-chan runtime.Exit {
	return v.cfg.Driver.Exits(v.ctx)
}

// watchExits takes what the driver tells until the service closes, and listens again when the runtime has restarted.
func (v *Service) watchExits(exits <-chan runtime.Exit) {
	for {
		for x := range exits {
			v.takeExit(x)
		}
		select {
		case <-v.ctx.Done():
			return
		case <-time.After(time.Second):
			exits = v.listen()
		}
	}
}

// takeExit tells a site of its end; one that belongs to an earlier start is old news.
func (v *Service) takeExit(x runtime.Exit) {
	e := v.entry(ID(x.ID))
	if e == nil {
		return
	}
	e.mu.Lock()
	switch {
	case e.turn != nil && e.turn.act == actWake && !x.At.Before(e.turn.began):
		e.turn.exit = &x
	case !e.busy() && !x.At.Before(e.since):
		v.ended(e, x)
		v.kick(e)
	}
	e.mu.Unlock()
	v.flush(e)
}

// ended is a site that stopped without being asked: it is started again, unless it does so too often. e.mu is held.
func (v *Service) ended(e *entry, x runtime.Exit) {
	if e.site.State != Awake && e.site.State != Dozing {
		return
	}
	v.cfg.Log.Warn("site ended by itself", "site", e.id, "oom", x.OOM)
	if e.crash.add(v.cfg.Now(), cause(x)) {
		v.fail(e, e.looping(x), nil)
		return
	}
	v.move(e, eventEnded)
	e.demand.wake = true
}

func (e *entry) looping(x runtime.Exit) *Fault {
	ref := newRef()
	args := Args{"s": e.site.Name, "n": strconv.Itoa(len(e.crash.at)), "cause": e.crash.cause, "ref": ref}
	return &Fault{Code: CodeLooping, Args: args, Log: x.Log, Ref: ref}
}

// cause is the last thing the site said, in its own words (RULE TEXT).
func cause(x runtime.Exit) string {
	if x.OOM {
		return "out of memory"
	}
	lines := strings.Split(strings.TrimSpace(x.Log), "\n")
	last := []rune(strings.TrimSpace(lines[len(lines)-1]))
	if len(last) == 0 {
		return "exit"
	}
	return string(last[:min(len(last), 160)])
}
