package sshgate

import "sync"

// people counts what each person holds, over all connections (RULE BUDGET).
type people struct {
	limits Limits
	mu     sync.Mutex
	all    map[string]*person // by Identity.Key
}

// person is what one person holds.
type person struct {
	key         string
	connections int // guarded by people.mu

	mu       sync.Mutex
	sessions int
	handles  int
	names    int
	listing  sync.Mutex // one folder is read at a time: a million names are held once, not once per session
}

func (p *people) enter(key string) *person {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[key]
	if one == nil {
		one = &person{key: key}
		p.all[key] = one
	}
	if one.connections >= p.limits.Connections {
		return nil
	}
	one.connections++
	return one
}

func (p *people) leave(one *person) {
	if one == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if one.connections--; one.connections == 0 {
		delete(p.all, one.key)
	}
}

func (p *person) take(what *int, n, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *what+n > limit {
		return false
	}
	*what += n
	return true
}

func (p *person) give(what *int, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*what -= n
}
