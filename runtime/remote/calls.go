package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"petitpont/runtime"
)

// method is one call of the contract on the server's side.
type method struct {
	about bool                               // about one container: ID is checked, and the call takes its lock
	check func(request) error                // of the other arguments; may be nil
	run   func(*call, context.Context) error // answers, or returns what went wrong
}

// calls is everything a client can ask. Those that are about no container take no lock.
var calls map[string]method

// A function, since the methods look themselves up in the table.
func init() {
	calls = map[string]method{
		"create":    {true, checkSpec, simple((*call).create)},
		"start":     {true, nil, simple((*call).start)},
		"freeze":    {true, nil, simple((*call).freeze)},
		"thaw":      {true, nil, simple((*call).thaw)},
		"stop":      {true, checkGrace, simple((*call).stop)},
		"destroy":   {true, nil, simple((*call).destroy)},
		"limits":    {true, checkLimits, simple((*call).setLimits)},
		"env":       {true, func(q request) error { return checkEnv(q.Env) }, simple((*call).setEnv)},
		"usage":     {true, nil, simple((*call).usage)},
		"list":      {false, nil, simple((*call).list)},
		"ledger":    {false, nil, simple((*call).ledger)},
		"strays":    {false, nil, simple((*call).strays)},
		"templates": {false, nil, simple((*call).templates)},
		"exits":     {false, nil, (*call).exits},
		"files":     {true, nil, (*call).files},
		"dial":      {true, checkPort, (*call).dial},
		"exec":      {true, checkCommand, (*call).exec},

		"versions":         {false, nil, keeping((*call).versions)},
		"build-template":   {false, checkTemplate, keeping((*call).buildTemplate)},
		"test-template":    {false, checkVersioned, keeping((*call).testTemplate)},
		"publish-template": {false, checkVersioned, keeping((*call).publishTemplate)},
		"retire-template":  {false, checkVersioned, keeping((*call).retireTemplate)},
		"move":             {true, checkMove, keeping((*call).move)},
	}
}

// simple runs a call whose result is one answer.
func simple(f func(*call, context.Context) (answer, error)) func(*call, context.Context) error {
	return func(c *call, ctx context.Context) error {
		var a answer
		work := func() (err error) {
			a, err = f(c, ctx)
			return err
		}
		if calls[c.Call].about {
			if err := c.locked(ctx, work); err != nil {
				return err
			}
		} else if err := work(); err != nil {
			return err
		}
		return c.done(a)
	}
}

func (c *call) driver() runtime.Driver { return c.server.driver }

// steps makes the driver's reports lines for the client. A lost line is found out by the answer.
func (c *call) steps(ctx context.Context) context.Context {
	return runtime.WithSteps(ctx, func(s runtime.Step) { _ = c.wire.write(answer{V: Version, Step: s}) })
}

func (c *call) create(ctx context.Context) (answer, error) {
	return answer{}, c.driver().Create(c.steps(ctx), *c.Spec)
}

func (c *call) start(ctx context.Context) (answer, error) {
	addr, err := c.driver().Start(c.steps(ctx), c.ID)
	return answer{Addr: addr}, err
}

func (c *call) freeze(ctx context.Context) (answer, error) {
	return answer{}, c.driver().Freeze(ctx, c.ID)
}

func (c *call) thaw(ctx context.Context) (answer, error) {
	return answer{}, c.driver().Thaw(ctx, c.ID)
}

func (c *call) stop(ctx context.Context) (answer, error) {
	return answer{}, c.driver().Stop(ctx, c.ID, c.Grace)
}

func (c *call) destroy(ctx context.Context) (answer, error) {
	return answer{}, c.driver().Destroy(ctx, c.ID)
}

func (c *call) setLimits(ctx context.Context) (answer, error) {
	return answer{}, c.driver().SetLimits(ctx, c.ID, *c.Limits)
}

func (c *call) setEnv(ctx context.Context) (answer, error) {
	return answer{}, c.driver().SetEnv(ctx, c.ID, c.Env)
}

func (c *call) usage(ctx context.Context) (answer, error) {
	u, err := c.driver().Usage(ctx, c.ID)
	return answer{Usage: &u}, err
}

func (c *call) list(ctx context.Context) (answer, error) {
	infos, err := c.driver().List(ctx)
	return answer{List: infos}, err
}

func (c *call) ledger(ctx context.Context) (answer, error) {
	l, err := c.driver().Ledger(ctx)
	return answer{Ledger: &l}, err
}

func (c *call) strays(ctx context.Context) (answer, error) {
	all, err := c.driver().Strays(ctx)
	return answer{Strays: all}, err
}

func (c *call) templates(ctx context.Context) (answer, error) {
	t, err := c.driver().Templates(ctx)
	return answer{Templates: t}, err
}

// exits sends each exit as a line until the client goes. The first line says that none is missed from here on.
func (c *call) exits(ctx context.Context) error {
	exits := c.driver().Exits(ctx)
	if err := c.wire.write(answer{V: Version}); err != nil {
		return err
	}
	for {
		select {
		case e, ok := <-exits:
			if !ok {
				return fmt.Errorf("exits ended: %w", runtime.ErrDown)
			}
			if err := c.wire.write(answer{V: Version, Exit: packExit(e)}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A site's own slowness must not hold the lock of its ID for long: nobody could stop it meanwhile.
const (
	dialTime = 10 * time.Second
	openTime = 30 * time.Second
)

func (c *call) files(ctx context.Context) error {
	return c.pass(ctx, openTime, func() (net.Conn, error) { return c.driver().Files(ctx, c.ID) })
}

func (c *call) dial(ctx context.Context) error {
	return c.pass(ctx, dialTime, func() (net.Conn, error) { return c.driver().Dial(ctx, c.ID, c.Port) })
}

// pass opens a connection and hands it to the client. The ctx of the call ends with it: as with a net.Dialer, it
// bounds the opening, not what was opened.
func (c *call) pass(ctx context.Context, budget time.Duration, open func() (net.Conn, error)) error {
	var conn net.Conn
	err := c.opening(ctx, budget, func() (err error) {
		conn, err = open()
		return err
	})
	if err != nil {
		return err
	}
	if l, ok := conn.(lender); ok {
		return c.lend(ctx, l)
	}
	file, err := export(c.server.ctx, &c.server.calls, conn)
	if err != nil {
		return err
	}
	defer file.Close()
	return c.wire.write(answer{V: Version, Done: true, Files: 1}, file)
}

// lend hands l's socket to the client and closes l once the client has gone, or the server ends.
func (c *call) lend(ctx context.Context, l lender) error {
	defer l.Close()
	s, ok := l.Socket().(syscall.Conn)
	if !ok {
		return errors.New("a socket without a descriptor")
	}
	file, err := duplicate(s)
	if err != nil {
		return err
	}
	err = c.wire.write(answer{V: Version, Done: true, Lent: true, Files: 1}, file)
	_ = file.Close()
	if err == nil {
		<-ctx.Done()
	}
	return nil // the answer has been given, and there is no other
}

// opening runs f under the lock of the ID and cancels the call when f takes longer than budget.
func (c *call) opening(ctx context.Context, budget time.Duration, f func() error) error {
	return c.locked(ctx, func() error {
		timer := time.AfterFunc(budget, c.cancel)
		err := f()
		if late := !timer.Stop(); late && err != nil {
			return fmt.Errorf("not open after %v: %w: %w", budget, context.DeadlineExceeded, err)
		}
		return err
	})
}
