package unshare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"petitpont/runtime"
)

// Start opens a box if none stands, lets init start the services, and waits for the first answer.
func (d *Driver) Start(ctx context.Context, id string) (netip.AddrPort, error) {
	c, err := d.find(id)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer d.leave(c)
	addr, err := d.addr(c.record)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if c.box != nil && c.box.running() && c.box.alive() {
		return addr, nil
	}
	if err := d.start(ctx, c, addr); err != nil {
		return netip.AddrPort{}, fmt.Errorf("start %s: %w", id, err)
	}
	return addr, nil
}

func (d *Driver) start(ctx context.Context, c *container, addr netip.AddrPort) error {
	runtime.Report(ctx, runtime.StepNetwork)
	if err := d.standing(ctx, c, true); err != nil {
		return err
	}
	err := d.run(ctx, c, addr)
	if err == nil {
		return nil
	}
	return d.rest(ctx, c, err)
}

// rest puts a container whose start failed back to stopped. The box stays only if Files sessions are open in it.
func (d *Driver) rest(ctx context.Context, c *container, why error) error {
	c.box.asked = true
	if c.box.sessions > 0 && c.box.alive() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := d.stopServices(ctx, c.box, 0, true); err == nil {
			return why
		}
	}
	if err := d.kill(ctx, c); err != nil {
		return errors.Join(why, err)
	}
	return why
}

// standing sees to it that a box stands, attached to the network if that is wanted.
func (d *Driver) standing(ctx context.Context, c *container, attach bool) error {
	if c.box != nil && !c.box.alive() { // its watcher waits for our lock
		if err := d.sweepBox(ctx, c); err != nil {
			return err
		}
	}
	if c.box == nil {
		return d.openBox(ctx, c, attach)
	}
	if !attach || c.box.state.Attached {
		return nil
	}
	if err := d.plug(ctx, c.record, c.box); err != nil {
		return err
	}
	c.box.state.Attached = true
	return c.box.save()
}

func (d *Driver) run(ctx context.Context, c *container, addr netip.AddrPort) error {
	b := c.box
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	services, err := d.services(c.record)
	if err != nil {
		return err
	}
	runtime.Report(ctx, runtime.StepStart)
	if err := d.step(ctx, "start services"); err != nil {
		return err
	}
	b.asked, b.ooms = false, b.group.oomKills()
	if b.linger != nil {
		b.linger.Stop()
	}
	ended, err := b.follow(following)
	if err != nil {
		return err
	}
	b.state.Running, b.state.StartedAt, b.state.Env = true, d.Now(), digest(c.record.Spec.Env)
	if err := b.save(); err != nil {
		return err
	}
	if _, err := ask(ctx, b.dir, startCommand(services)); err != nil {
		return d.verdict(ctx, b, fmt.Errorf("start services: %w", err), runtime.ReasonEnded)
	}
	runtime.Report(ctx, runtime.StepAnswer)
	if err := d.step(ctx, "wait for answer"); err != nil {
		return err
	}
	patience := gatewayPatience
	if len(services) == 1 {
		patience = 0 // nobody is still starting behind it
	}
	return d.awaitAnswer(ctx, b, addr, ended, patience)
}

func (d *Driver) services(r record) ([]service, error) {
	t, err := d.templates.get(r.Spec.Template, r.Version)
	if err != nil {
		return nil, err
	}
	var all []service
	for _, name := range r.Spec.Services {
		s, err := t.service(name, r.Spec.Env)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// follow tells of the first service that ends, as long as ctx lasts.
func (b *box) follow(ctx context.Context) (<-chan string, error) {
	c, err := dialInit(b.dir)
	if err != nil {
		return nil, err
	}
	if err := c.send(fields{"watch"}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if _, _, err := c.first(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	ended := make(chan string, 1)
	context.AfterFunc(ctx, func() { _ = c.Close() })
	go func() {
		defer func() { _ = c.Close() }()
		if f, _, err := c.answer(); err == nil && len(f) == 3 {
			ended <- f[1] + " ended with " + f[2]
		}
	}()
	return ended, nil
}

// awaitAnswer asks the web server until it answers anything, its start fails, or time is over.
func (d *Driver) awaitAnswer(ctx context.Context, b *box, addr netip.AddrPort, ended <-chan string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d.Answer)
	defer cancel()
	answered := make(chan struct{})
	go func() {
		if untilAnswer(ctx, addr, patience) {
			close(answered)
		}
	}()
	select {
	case <-answered:
		return nil
	case what := <-ended:
		return d.verdict(ctx, b, errors.New("service "+what), runtime.ReasonEnded)
	case <-b.dead:
		return d.verdict(ctx, b, errors.New("the container ended"), runtime.ReasonEnded)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err()
		}
		return d.verdict(ctx, b, nil, runtime.ReasonSilent)
	}
}

// verdict says why: a kill for memory is the first cause of all that follows it.
func (d *Driver) verdict(ctx context.Context, b *box, err error, reason runtime.StartReason) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if b.group.oomKills() > b.ooms {
		reason = runtime.ReasonMemory
	}
	return &runtime.StartError{Reason: reason, Log: b.lastLines(), Err: err}
}

const (
	// gatewayPatience is how long "bad gateway" counts as still starting: the web server is up before the language is,
	// which takes seconds on a busy host, or when it waits for a database that recovers. A language that ends is told of
	// at once; this bounds the wait for one that runs and does not listen.
	gatewayPatience = 15 * time.Second
	// A server is up within some ten milliseconds or has something longer to do: asking is dense first, then rare.
	denseFor, dense, rare = 250 * time.Millisecond, time.Millisecond, 50 * time.Millisecond
)

func untilAnswer(ctx context.Context, addr netip.AddrPort, patience time.Duration) bool {
	began := time.Now()
	for wait := dense / 2; ; {
		switch status := probe(ctx, addr); {
		case status == "":
		case status == "502" || status == "503" || status == "504":
			if time.Since(began) >= patience {
				return true
			}
		default:
			return true
		}
		if pause(ctx, wait) != nil {
			return false
		}
		if wait = dense; time.Since(began) > denseFor {
			wait = rare
		}
	}
}

// probe asks once and returns the status, "" if there was none. What the site answers is not looked at.
func probe(ctx context.Context, addr netip.AddrPort) string {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write([]byte("HEAD / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: petitpont\r\nConnection: close\r\n\r\n")); err != nil {
		return ""
	}
	var line [12]byte // "HTTP/1.1 200"
	for n := 0; n < len(line); {
		m, err := conn.Read(line[n:])
		if n += m; err != nil && n < len(line) {
			return ""
		}
	}
	version, status, _ := strings.Cut(string(line[:]), " ")
	if !strings.HasPrefix(version, "HTTP/1.") {
		return ""
	}
	return status
}
