package site

import "context"

// Delete erases a site with all its files, for good: there is no bin. typed must be its name (CodeTyped otherwise).
// What goes on is broken off; open file sessions end at once. Of two deletes one wins, the other gets CodeBusy.
func (v *Service) Delete(ctx context.Context, who Identity, name, typed string) error {
	e, err := v.find(who, name)
	if err != nil {
		return err
	}
	if typed != name {
		return &Error{Code: CodeTyped, Args: Args{"x": typed, "s": name}}
	}
	// Stored first: a crash from here on continues the deletion.
	err = v.promise(ctx, e, func(s *Site) error {
		if s.Want == Gone {
			return busy(Site{Name: s.Name, State: Deleting})
		}
		s.Want = Gone
		s.Epoch++
		return nil
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.revoke()
	e.overtake(actCreate, actWake)
	v.kick(e)
	return nil
}

// runDelete destroys the container, then the row: a crash between the two finds the row and destroys again, a no-op.
func (v *Service) runDelete(ctx context.Context, e *entry) result {
	if err := v.cfg.Driver.Destroy(ctx, string(e.id)); err != nil {
		return result{err: err}
	}
	return result{err: v.cfg.Store.Remove(ctx, e.id)}
}

// finishDelete forgets the site. When it could not be destroyed the row stays, and reconcile tries again. e.mu is held.
func (v *Service) finishDelete(e *entry, r result) error {
	if r.err != nil {
		v.cfg.Log.Error("delete site", "site", e.id, "err", r.err)
		return r.err
	}
	v.remove(e.id, e.name)
	v.cfg.Log.Info("site deleted", "site", e.id, "name", e.name)
	return nil
}
