package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// forward passes the request on to the site that was entered, and its answer back.
func (v *visit) forward() {
	if v.r.ContentLength > v.limits.Body {
		v.show(pageLarge)
		return
	}
	out := v.request()
	defer v.upload.end() // whoever still reads it must not after this request
	early := &early{to: &v.w}
	res, err := v.up.to(v.addr).send(out, early)
	early.end()
	switch {
	case err != nil:
		v.failed(err)
	case res.StatusCode == http.StatusSwitchingProtocols:
		v.switched(res)
	case res.StatusCode < http.StatusContinue:
		res.Body.Close()
		v.failed(errStatus)
	default:
		v.answer(res)
	}
}

// request is what the site gets: the visitor's method, path, query and body, and of its headers those that are meant
// for the site. Host stays what the visitor typed, so that the site can build links. Trailers stay behind: a name among
// them that a site takes for a header would have passed unseen (golang/go #81143).
func (v *visit) request() *http.Request {
	out := v.r.WithContext(v.r.Context()) // a copy
	where := *v.r.URL
	where.Scheme, where.Host = "http", v.addr.String()
	out.URL, out.RequestURI, out.Close, out.Trailer = &where, "", false, nil
	out.Header = v.r.Header.Clone()
	stripHop(out.Header)
	if tokens(v.r.Header, "Te", "trailers") {
		out.Header.Set("Te", "trailers")
	}
	if asksWebSocket(v.r) { // and nothing else: h2c would hide whole requests from us (golang/go #80416)
		out.Header.Set("Connection", "Upgrade")
		out.Header.Set("Upgrade", "websocket")
	}
	scrub(out.Header, v.trusted)
	v.forwarded(out.Header)
	if _, told := out.Header["User-Agent"]; !told {
		out.Header["User-Agent"] = nil // net/http would tell its own
	}
	if v.r.Body == nil || v.r.ContentLength == 0 {
		out.Body = nil
	} else {
		v.upload = v.receive()
		out.Body = v.upload
	}
	return out
}

// asksWebSocket tells whether a request asks for a web socket, the only protocol that sites may switch to.
func asksWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 &&
		tokens(r.Header, "Connection", "Upgrade") && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// errSwitch is a site that switches protocols without having been asked to.
var errSwitch = errors.New("unasked switch of protocols")

// errStatus is a number that net/http reads and does not write: it would panic, and a site could fill our log with that.
var errStatus = errors.New("a status below 100")

// switched begins the tunnel that visitor and site have agreed on.
func (v *visit) switched(res *http.Response) {
	if !asksWebSocket(v.r) || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") {
		res.Body.Close()
		v.failed(errSwitch)
		return
	}
	if err := v.tunnel(res); err != nil {
		v.log.Debug("tunnel", "site", v.site.ID, "err", err)
	}
}

// failed says why there is no answer from the site.
func (v *visit) failed(err error) {
	var dial *net.OpError
	switch {
	case errors.Is(v.upload.broken(), errLarge):
		v.show(pageLarge)
	case errors.Is(err, context.Canceled), v.r.Context().Err() != nil:
		v.gone()
	case v.upload.broken() != nil:
		v.show(pageBad)
	case errors.As(err, &dial) && dial.Op == "dial":
		v.down(err)
	case isTimeout(err):
		v.w.ref = reference()
		v.log.Info("site too slow", "site", v.site.ID, "ref", v.w.ref)
		v.showSlow(v.limits.FirstByte)
	default:
		v.down(err)
	}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// showSlow shows the page that says how long was waited.
func (v *visit) showSlow(waited time.Duration) {
	v.showWith(pageSlow, "n", strconv.Itoa(int(waited.Round(time.Second).Seconds())))
}
