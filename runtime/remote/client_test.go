package remote_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"petitpont/runtime"
	"petitpont/runtime/fake"
	"petitpont/runtime/remote"
)

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until asks again until the fact is there.
func until(t *testing.T, fact string, seen func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); !seen(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited for: %s", fact)
		}
	}
}

func create(t *testing.T, d runtime.Driver) runtime.Spec {
	t.Helper()
	s := spec(1)
	if err := d.Create(within(t), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func running(t *testing.T, d runtime.Driver) runtime.Spec {
	t.Helper()
	s := create(t, d)
	if _, err := d.Start(within(t), s.ID); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRuntimeDown(t *testing.T) {
	t.Run("nobody has ever listened", func(t *testing.T) {
		_, err := remote.Dial(socket(t)).List(within(t))
		if !errors.Is(err, runtime.ErrDown) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the server has died and left its socket", func(t *testing.T) {
		r := open(t)
		r.end()
		if _, err := remote.Dial(r.path).List(within(t)); !errors.Is(err, runtime.ErrDown) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the server ends in mid-call", func(t *testing.T) {
		r := open(t)
		s := create(t, r)
		defer r.Hold("start.answer")()
		failed := make(chan error, 1)
		go func() { _, err := remote.Dial(r.path).Start(context.Background(), s.ID); failed <- err }()
		if err := r.Await(within(t), "start.answer", 1); err != nil {
			t.Fatal(err)
		}
		r.end()
		if err := <-failed; !errors.Is(err, runtime.ErrDown) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the server vanishes in mid-call", func(t *testing.T) {
		path := answering(t, func(c *net.UnixConn) { _, _ = bufio.NewReader(c).ReadString('\n') })
		if err := remote.Dial(path).Destroy(within(t), spec(1).ID); !errors.Is(err, runtime.ErrDown) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the server talks nonsense", func(t *testing.T) {
		path := answering(t, func(c *net.UnixConn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
		if err := remote.Dial(path).Destroy(within(t), spec(1).ID); !errors.Is(err, runtime.ErrDown) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a restart between calls goes unnoticed", func(t *testing.T) {
		r := open(t)
		client := remote.Dial(r.path)
		s := running(t, client)
		r.end()
		r.serve(t)
		if _, err := client.Start(within(t), s.ID); err != nil || r.Starts(s.ID) != 1 {
			t.Errorf("%v after %d starts", err, r.Starts(s.ID))
		}
	})
}

// answering is a server that does what answer does, once per connection.
func answering(t *testing.T, answer func(*net.UnixConn)) (path string) {
	t.Helper()
	path = socket(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			answer(c)
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); served.Wait() })
	return path
}

func TestErrorsCross(t *testing.T) {
	r := open(t)
	client := remote.Dial(r.path)
	s := create(t, client)
	r.Fail("start.answer", &runtime.StartError{Reason: runtime.ReasonSilent, Log: "nginx: [emerg]"})
	_, err := client.Start(within(t), s.ID)
	if e, ok := errors.AsType[*runtime.StartError](err); !ok || e.Reason != runtime.ReasonSilent || e.Log != "nginx: [emerg]" {
		t.Errorf("got %#v", err)
	}
	if err := client.Create(within(t), s); !errors.Is(err, runtime.ErrExist) {
		t.Errorf("got %v", err)
	}
}

func TestOtherVersionIsSaid(t *testing.T) {
	path := answering(t, func(c *net.UnixConn) {
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = io.WriteString(c, `{"v":99,"unheard":{"of":1}}`+"\n")
	})
	if _, err := remote.Dial(path).List(within(t)); !errors.Is(err, remote.ErrVersion) || !errors.Is(err, runtime.ErrDown) {
		t.Errorf("the client says %v", err)
	}
	r := open(t)
	if got := say(t, r.path, `{"v":99,"call":"start","new":true}`+"\n"); !errorsIn(got, "version") {
		t.Errorf("the server says %q", got)
	}
}

func TestStepsComeWhileTheCallRuns(t *testing.T) {
	r := open(t)
	client := remote.Dial(r.path)
	s := create(t, client)
	release := r.Hold("start.answer")
	steps := make(chan runtime.Step, 10)
	started := make(chan error, 1)
	go func() {
		_, err := client.Start(runtime.WithSteps(within(t), func(s runtime.Step) { steps <- s }), s.ID)
		started <- err
	}()
	for _, want := range []runtime.Step{runtime.StepNetwork, runtime.StepStart, runtime.StepAnswer} {
		if got := <-steps; got != want {
			t.Errorf("step %q, want %q", got, want)
		}
	}
	release()
	if err := <-started; err != nil {
		t.Error(err)
	}
}

func TestCallsBrokenOff(t *testing.T) {
	t.Run("a change returns once it is undone", func(t *testing.T) {
		d := &undoes{began: make(chan struct{})}
		path := socket(t)
		serve(t, path, d, remote.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan error, 1)
		go func() { failed <- remote.Dial(path).Create(ctx, spec(1)) }()
		<-d.began
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) || !d.undone.Load() {
			t.Errorf("got %v, undone: %v", err, d.undone.Load())
		}
	})
	t.Run("a change broken off is no runtime that is down", func(t *testing.T) {
		r := open(t)
		s := create(t, r)
		defer r.Hold("start.start")()
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan error, 1)
		go func() { _, err := remote.Dial(r.path).Start(ctx, s.ID); failed <- err }()
		if err := r.Await(within(t), "start.start", 1); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) || errors.Is(err, runtime.ErrDown) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a deadline is the caller's own", func(t *testing.T) {
		r := open(t)
		s := create(t, r)
		defer r.Hold("start.start")()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if _, err := remote.Dial(r.path).Start(ctx, s.ID); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the driver hears of it", func(t *testing.T) {
		r := open(t)
		s := create(t, r)
		defer r.Hold("usage")()
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan error, 1)
		go func() { _, err := remote.Dial(r.path).Usage(ctx, s.ID); failed <- err }()
		if err := r.Await(within(t), "usage", 1); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		// The lock of the ID is free again only when the held call has ended.
		if err := remote.Dial(r.path).Freeze(within(t), s.ID); !errors.Is(err, runtime.ErrNotRunning) {
			t.Errorf("the next call got %v", err)
		}
	})
}

// undoes is a driver whose Create takes a while to undo what it did.
type undoes struct {
	runtime.Driver
	began  chan struct{}
	undone atomic.Bool
}

func (u *undoes) Create(ctx context.Context, _ runtime.Spec) error {
	close(u.began)
	<-ctx.Done()
	time.Sleep(20 * time.Millisecond) // room for a client that does not wait to be caught
	u.undone.Store(true)
	return ctx.Err()
}

// overlaps is a driver that sees how many of its calls run at once.
type overlaps struct {
	runtime.Driver
	mu     sync.Mutex
	inside map[string]int
	same   int // most at once about one ID
	other  int // most IDs at once
	met    chan struct{}
}

func (o *overlaps) enter(id string) {
	o.mu.Lock()
	o.inside[id]++
	o.same = max(o.same, o.inside[id])
	o.other = max(o.other, len(o.inside))
	o.mu.Unlock()
	select { // room for a second caller to come in, were it let
	case o.met <- struct{}{}:
	case <-o.met:
	case <-time.After(5 * time.Millisecond):
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.inside[id]--; o.inside[id] == 0 {
		delete(o.inside, id)
	}
}

func (o *overlaps) Freeze(_ context.Context, id string) error { o.enter(id); return nil }
func (o *overlaps) Usage(_ context.Context, id string) (runtime.Usage, error) {
	o.enter(id)
	return runtime.Usage{}, nil
}

func TestCallsAboutOneIDAreSerialised(t *testing.T) {
	d := &overlaps{inside: map[string]int{}, met: make(chan struct{})}
	path := socket(t)
	serve(t, path, d, remote.Options{})
	var all sync.WaitGroup
	ctx := within(t)
	for n := range 200 {
		client, id := remote.Dial(path), fmt.Sprintf("remote000%d", n%2)
		all.Go(func() {
			_, err := client.Usage(ctx, id)
			if err := errors.Join(err, client.Freeze(ctx, id)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.same != 1 || d.other != 2 {
		t.Errorf("%d calls at once about one ID, want 1; %d IDs at once, want 2", d.same, d.other)
	}
}

func TestExitsComeBackAfterARestart(t *testing.T) {
	r := open(t)
	s := running(t, r)
	exits := remote.Dial(r.path).Exits(within(t))
	r.end()
	r.serve(t)
	until(t, "an exit after the restart", func() bool {
		if _, err := r.Start(within(t), s.ID); err != nil {
			t.Fatal(err)
		}
		r.KillWith(runtime.Exit{ID: s.ID, OOM: true, Log: "last \xff words"})
		select {
		case e := <-exits:
			if e.ID != s.ID || !e.OOM || e.Log != "last \xff words" {
				t.Fatalf("got %+v", e)
			}
			return true
		default:
			return false
		}
	})
}

func TestExitsWaitForARuntimeThatIsNotThereYet(t *testing.T) {
	r := open(t)
	r.end()
	ctx, cancel := context.WithCancel(within(t))
	exits := remote.Dial(r.path).Exits(ctx)
	cancel()
	if _, more := <-exits; more {
		t.Error("an exit from nobody")
	}
}

// sockets is a driver whose sessions are real sockets, as those of a box are.
type sockets struct {
	runtime.Driver
	sites chan net.Conn // the site's end of each session
}

func newSockets() sockets { return sockets{sites: make(chan net.Conn, 1)} }

func (s *sockets) Files(context.Context, string) (net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	near, err := connOf(fds[0])
	if err != nil {
		return nil, err
	}
	s.sites <- near
	return connOf(fds[1])
}

// lends is a driver that counts its sessions.
type lends struct {
	sockets
	open atomic.Int32
}

type session struct {
	net.Conn // hides what the socket can do
	ended    func()
}

func (s session) Socket() net.Conn { return s.Conn }

func (s session) Close() error {
	s.ended()
	return s.Conn.Close()
}

func (l *lends) Files(ctx context.Context, id string) (net.Conn, error) {
	c, err := l.sockets.Files(ctx, id)
	l.open.Add(1)
	return session{c, func() { l.open.Add(-1) }}, err
}

func TestALentSocketIsCounted(t *testing.T) {
	d, path := &lends{sockets: newSockets()}, socket(t)
	serve(t, path, d, remote.Options{})
	conn, err := remote.Dial(path).Files(within(t), spec(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	site := <-d.sites
	defer func() { _ = site.Close() }()
	_, _ = io.WriteString(conn, "hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(site, got); err != nil || string(got) != "hello" || d.open.Load() != 1 {
		t.Errorf("the site read %q, %v, %d open", got, err, d.open.Load())
	}
	_ = conn.Close()
	if rest, err := io.ReadAll(site); err != nil || len(rest) != 0 {
		t.Errorf("then the site read %q, %v", rest, err)
	}
	until(t, "the driver knows that it ended", func() bool { return d.open.Load() == 0 })
}

func TestWhatIsOpenedIsTheThingItself(t *testing.T) {
	t.Run("a visit goes on without the runtime", func(t *testing.T) {
		r := open(t)
		s := running(t, r)
		conn, err := remote.Dial(r.path).Dial(within(t), s.ID, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		r.end()
		if _, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err != nil {
			t.Errorf("it is no TCP connection: %v", err)
		}
		_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("got %v, %v", res, err)
		}
	})
	t.Run("a file session too, and closing it is its end", func(t *testing.T) {
		d := newSockets()
		path := socket(t)
		end := serve(t, path, &d, remote.Options{})
		conn, err := remote.Dial(path).Files(within(t), spec(1).ID)
		if err != nil {
			t.Fatal(err)
		}
		site := <-d.sites
		defer func() { _ = site.Close() }()
		end()
		_, _ = io.WriteString(conn, "hello")
		_ = conn.Close()
		if got, err := io.ReadAll(site); err != nil || string(got) != "hello" {
			t.Errorf("the site read %q, %v", got, err)
		}
	})
	t.Run("and no program started meanwhile inherits it", func(t *testing.T) {
		r := open(t)
		s := running(t, r)
		conn, err := remote.Dial(r.path).Dial(within(t), s.ID, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		raw, err := conn.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) {
			if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("flags %x, %v", flags, err)
			}
		})
	})
}

func connOf(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "session")
	defer func() { _ = f.Close() }()
	return net.FileConn(f)
}

func TestAPatientCallWaitsForTheRuntimeAndALookDoesNot(t *testing.T) {
	path := socket(t)
	c := remote.Dial(path)
	c.Patience = time.Minute
	if _, err := c.List(within(t)); !errors.Is(err, runtime.ErrDown) {
		t.Fatalf("a look at nothing: %v, want ErrDown", err)
	}
	answered := make(chan error, 1)
	go func() { answered <- c.Stop(within(t), "absent0000", 0) }()
	select {
	case err := <-answered:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	serve(t, path, fake.New(t.TempDir()), remote.Options{})
	if err := <-answered; !errors.Is(err, runtime.ErrNotExist) {
		t.Fatalf("once the runtime is there: %v, want its own answer", err)
	}
}

func TestTheRuntimesReturnIsTold(t *testing.T) {
	path := socket(t)
	stop := serve(t, path, fake.New(t.TempDir()), remote.Options{})
	c, told := remote.Dial(path), make(chan struct{}, 8)
	c.Returned = func() { told <- struct{}{} }
	c.Exits(within(t))
	select {
	case <-told:
		t.Fatal("told of a return before it had gone")
	default:
	}
	stop()
	serve(t, path, fake.New(t.TempDir()), remote.Options{})
	<-told
}
