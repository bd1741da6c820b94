package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"
)

// forward passes the request on to the site that was entered, and its answer back.
func (v *visit) forward() {
	if v.r.ContentLength > v.limits.Body {
		v.show(pageLarge)
		return
	}
	if v.r.Body != nil && v.r.Body != http.NoBody {
		v.upload = v.receive()
		v.r.Body = v.upload
	}
	route := v.up.to(v.addr)
	pass := httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) { v.rewrite(pr, route.host) },
		// Upgrades other than to a web socket were taken out by rewrite; those that the site agrees to end in answered.
		ModifyResponse: v.answered,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { v.failed(err) },
		Transport:      route,
		BufferPool:     buffers,
		ErrorLog:       slog.NewLogLogger(v.log.Handler(), slog.LevelDebug),
	}
	pass.ServeHTTP(&v.w, v.r)
}

// rewrite addresses the request to the site. Host stays what the visitor typed, so that the site can build links.
func (v *visit) rewrite(pr *httputil.ProxyRequest, host string) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = "http", host
	out.URL.RawQuery = pr.In.URL.RawQuery // nothing here decides by it: pass it on untouched
	scrub(out.Header, v.trusted)
	if v.trusted {
		keep(out.Header, pr.In.Header, "Forwarded")
	}
	v.forwarded(out.Header)
	if out.Header.Get("Upgrade") != "" && !asksWebSocket(v.r) {
		out.Header.Del("Connection") // h2c would hide whole requests from us (golang/go #80416)
		out.Header.Del("Upgrade")
	}
}

// keep puts back what ReverseProxy took away.
func keep(out, in http.Header, key string) {
	if values := in[key]; len(values) > 0 {
		out[key] = values
	}
}

// asksWebSocket tells whether a request asks for a web socket, the only protocol that sites may switch to.
func asksWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 &&
		tokens(r.Header, "Connection", "Upgrade") && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// errTunnelled ends ReverseProxy's part in a request whose connection became a tunnel.
var errTunnelled = errors.New("tunnelled")

// errSwitch is a site that switches protocols without having been asked to.
var errSwitch = errors.New("unasked switch of protocols")

// answered sees the site's answer before the visitor does.
func (v *visit) answered(res *http.Response) error {
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	if !asksWebSocket(v.r) || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") {
		return errSwitch
	}
	if err := v.tunnel(res); err != nil {
		v.log.Debug("tunnel", "site", v.site.ID, "err", err)
	}
	return errTunnelled
}

// failed says why there is no answer from the site.
func (v *visit) failed(err error) {
	var network net.Error
	var dial *net.OpError
	switch {
	case errors.Is(err, errTunnelled):
	case errors.Is(v.upload.broken(), errLarge):
		v.show(pageLarge)
	case errors.Is(err, context.Canceled), v.r.Context().Err() != nil:
		v.gone()
	case v.upload.broken() != nil:
		v.show(pageBad)
	case errors.As(err, &dial) && dial.Op == "dial":
		v.down(err)
	case errors.As(err, &network) && network.Timeout():
		v.w.ref = reference()
		v.log.Info("site too slow", "site", v.site.ID, "ref", v.w.ref)
		v.showSlow(v.limits.FirstByte)
	default:
		v.down(err)
	}
}

// showSlow shows the page that says how long was waited.
func (v *visit) showSlow(waited time.Duration) {
	v.showWith(pageSlow, "n", strconv.Itoa(int(waited.Round(time.Second).Seconds())))
}

// pool lends the buffers through which answers pass.
type pool struct{ sync.Pool }

const bufferSize = 32 << 10

var buffers = &pool{sync.Pool{New: func() any { return new([bufferSize]byte) }}}

func (p *pool) Get() []byte { return p.Pool.Get().(*[bufferSize]byte)[:] }

func (p *pool) Put(b []byte) {
	if len(b) == bufferSize {
		p.Pool.Put((*[bufferSize]byte)(b))
	}
}
