package fake

import (
	"context"
	"sync"
)

// script makes labelled steps wait or fail. Labels are the names in the comments of Driver's methods:
// create, create.disk, start, start.network, start.start, start.answer, freeze, thaw, stop, destroy, limits, env, list,
// list.answer, ledger, strays, templates, usage, files, exec, dial; versions, build, build.STEP, test, publish, retire, move.
type script struct {
	mu     *sync.Mutex
	fails  map[string]func(id string) error
	holds  map[string]chan struct{}
	passed map[string]int
	moved  chan struct{} // closed and replaced whenever passed changes
}

func newScript() script {
	return script{
		mu: &sync.Mutex{}, fails: map[string]func(string) error{}, holds: map[string]chan struct{}{},
		passed: map[string]int{}, moved: make(chan struct{}),
	}
}

// Fail makes every call that reaches label answer err, until it is called again with nil.
func (d *Driver) Fail(label string, err error) {
	d.FailFor(label, func(string) error { return err })
}

// FailFor asks f at each call that reaches label; an error of f is the answer.
func (d *Driver) FailFor(label string, f func(id string) error) {
	d.script.mu.Lock()
	defer d.script.mu.Unlock()
	d.script.fails[label] = f
}

// Hold keeps every call that reaches label there until release is called or the call's ctx ends.
func (d *Driver) Hold(label string) (release func()) {
	gate := make(chan struct{})
	d.script.mu.Lock()
	defer d.script.mu.Unlock()
	d.script.holds[label] = gate
	return sync.OnceFunc(func() {
		d.script.mu.Lock()
		defer d.script.mu.Unlock()
		if d.script.holds[label] == gate {
			delete(d.script.holds, label)
		}
		close(gate)
	})
}

// Reached counts the calls that have come to label so far, held and failed ones included.
func (d *Driver) Reached(label string) int {
	d.script.mu.Lock()
	defer d.script.mu.Unlock()
	return d.script.passed[label]
}

// Await waits until n calls in all have come to label.
func (d *Driver) Await(ctx context.Context, label string, n int) error {
	for {
		d.script.mu.Lock()
		there, moved := d.script.passed[label] >= n, d.script.moved
		d.script.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// at is where a call stands at a label.
func (s *script) at(ctx context.Context, label, id string) error {
	s.mu.Lock()
	gate, fail := s.holds[label], s.fails[label]
	s.passed[label]++
	close(s.moved)
	s.moved = make(chan struct{})
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fail != nil {
		if err := fail(id); err != nil {
			return err
		}
	}
	return ctx.Err()
}
