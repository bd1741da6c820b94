package site

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"petitpont/runtime"
)

// DeleteStray destroys a container no site owns, with its disk, once its ID has been typed. It is the one way: by itself
// petitpont stops and keeps what it does not know (RULE OWN). For admins; CodeNotFound for what is no stray, CodeTyped{x, s}.
func (v *Service) DeleteStray(ctx context.Context, who Identity, id, typed string) error {
	if !who.Admin {
		return &Error{Code: CodeForbidden}
	}
	v.rounds.Lock() // no reconciliation finds it half gone
	defer v.rounds.Unlock()
	if !v.isStray(id) {
		return notFound()
	}
	if strings.TrimSpace(typed) != id {
		return &Error{Code: CodeTyped, Args: Args{"x": strings.TrimSpace(typed), "s": id}}
	}
	if err := v.cfg.Driver.Destroy(ctx, id); err != nil {
		return fmt.Errorf("destroy stray %s: %w", id, err)
	}
	v.cfg.Log.Warn("container without a site deleted", "id", id, "by", who.Login)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.strays = slices.DeleteFunc(v.strays, func(i runtime.Info) bool { return i.ID == id })
	return nil
}

// isStray tells whether a container was seen that no site owns, not even one made since.
func (v *Service) isStray(id string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.byID[ID(id)] == nil && slices.ContainsFunc(v.strays, func(i runtime.Info) bool { return i.ID == id })
}
