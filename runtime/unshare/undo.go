package unshare

// undo takes back, in reverse, what was done so far: defer u.run(), push after each step, keep at the end.
type undo []func()

func (u *undo) push(f func()) { *u = append(*u, f) }

func (u *undo) keep() { *u = nil }

func (u *undo) run() {
	for i := len(*u) - 1; i >= 0; i-- {
		(*u)[i]()
	}
	*u = nil
}
