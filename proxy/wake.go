package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"petitpont/site"
)

// What the waking page is told. On anything but wakeWaking it loads the site again, and gets the site or the page that
// says what is wrong.
const (
	wakeAwake  = "awake"
	wakeWaking = "waking"
	wakeFailed = "failed"
)

// wake answers the waking page's long poll: it waits with everybody else, and says how it went.
func (v *visit) wake() {
	found, ok := v.sites.Route(v.host)
	if !ok {
		v.show(pageUnknown)
		return
	}
	v.site, v.up = found, v.ups.of(found.ID)
	if v.r.Method != http.MethodGet || !v.hold() {
		v.show(pageCrowded)
		return
	}
	defer v.release()
	v.tell(v.poll())
}

// poll waits for the site, at most for Limits.Poll.
func (v *visit) poll() (state string) {
	ctx, cancel := context.WithTimeout(v.r.Context(), v.limits.Poll)
	defer cancel()
	defer context.AfterFunc(v.Proxy.ctx, cancel)()
	_, leave, err := v.sites.Enter(ctx, v.site.ID)
	var known *site.Error
	switch {
	case err == nil:
		leave()
		return wakeAwake
	case errors.As(err, &known), ctx.Err() == nil:
		return wakeFailed
	default:
		return wakeWaking
	}
}

func (v *visit) tell(state string) {
	platform(v.w.Header())
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(http.StatusOK)
	json.NewEncoder(&v.w).Encode(map[string]string{"state": state}) //nolint:errcheck // the visitor may have left
}
