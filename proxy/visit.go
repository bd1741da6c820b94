package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"petitpont/site"
)

// visit is one request on its way through the door.
type visit struct {
	*Proxy
	w       recorder
	r       *http.Request
	began   time.Time
	peer    netip.Addr // other end of the connection
	from    netip.Addr // who asks, as far as we trust what we are told
	trusted bool       // peer is a proxy whose word counts
	host    string     // canonical; "" until it was read
	site    site.Site
	up      *upstream
	addr    netip.AddrPort // the site's web server, once entered
	leave   func()         // ends the use that Enter began
	upload  *upload        // nil without a body
}

func (p *Proxy) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{Proxy: p, r: r, began: p.now()}
	v.w = recorder{ResponseWriter: w, stall: p.limits.Stall, h1: r.ProtoMajor == 1}
	// What follows a chunked body on the same connection is where two parsers disagree, and net/http does not tell
	// whether a length was announced as well. RFC 9112 6.3 asks to close then; browsers never send one.
	v.w.last = len(r.TransferEncoding) > 0
	v.peer, v.from, v.trusted = p.origin(r)
	return v
}

// proper refuses what no site should see (RULE PROXY); net/http has already refused what is not HTTP.
func (v *visit) proper() bool {
	var err error
	if v.host, err = Canonical(v.r.Host); err != nil {
		v.show(pageBad)
		return false
	}
	switch {
	case v.r.Method == http.MethodConnect, v.r.Method == http.MethodTrace:
		v.w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		v.show(pageMethod)
	case !v.originForm(), !printable(v.r.Header["Upgrade"]), v.twoHosts():
		v.show(pageBad)
	case v.r.TLS != nil && v.r.TLS.ServerName != "" && !strings.EqualFold(v.r.TLS.ServerName, v.host):
		v.show(pageMisdirected)
	default:
		return true
	}
	return false
}

// originForm tells whether the request names a path and nothing else. net/http throws the Host header away when the
// request line carries an address, so whether both agree cannot be told any more; only clients that take us for a
// forward proxy send that.
func (v *visit) originForm() bool {
	return strings.HasPrefix(v.r.RequestURI, "/") && v.r.URL.Host == ""
}

// twoHosts tells whether HTTP/2's :authority is contradicted by a Host header beside it.
func (v *visit) twoHosts() bool {
	for _, host := range v.r.Header["Host"] {
		if !strings.EqualFold(host, v.r.Host) {
			return true
		}
	}
	return false
}

func printable(values []string) bool {
	for _, value := range values {
		for i := range len(value) {
			if value[i] < ' ' || value[i] > '~' {
				return false
			}
		}
	}
	return true
}

// enter waits until the site answers; exit must follow. When it does not answer, enter has said so to the visitor and
// returns false. Bodies stay unread in the socket meanwhile: a held upload costs no memory.
func (v *visit) enter() bool {
	switch {
	case v.up.open.Add(1) > v.limits.Open:
		v.show(pageCrowded)
	case v.wait():
		return true
	}
	v.up.open.Add(-1)
	return false
}

// exit ends what enter began.
func (v *visit) exit() {
	v.leave()
	v.up.open.Add(-1)
}

// wait is enter between the counts.
func (v *visit) wait() bool {
	page := v.site.State != site.Awake && v.navigation()
	if !v.hold() {
		if page {
			v.show(pageWaking)
		} else {
			v.show(pageCrowded)
		}
		return false
	}
	defer v.release()

	ctx, cancel := v.patience(page)
	defer cancel()
	var err error
	if v.addr, v.leave, err = v.sites.Enter(ctx, v.site.ID); err != nil {
		v.refused(ctx, err, page)
		return false
	}
	return true
}

// patience is how long this visitor waits. Browsers are shown a page soon, everybody else would not know what to do
// with one. A site that is awake is entered at once, and needs no clock.
func (v *visit) patience(page bool) (context.Context, context.CancelFunc) {
	if v.site.State == site.Awake {
		return v.r.Context(), func() {}
	}
	limit := v.limits.Wake
	if page {
		limit = v.limits.Page
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), limit)
	stop := context.AfterFunc(v.Proxy.ctx, cancel) // Close lets nobody wait
	return ctx, func() { stop(); cancel() }
}

// hold takes one of the places where requests wait, of the site's and of the house's.
func (v *visit) hold() bool {
	site, all := v.up.held.Add(1), v.held.Add(1)
	if site > v.limits.Held || all > v.limits.HeldAll {
		v.release()
		return false
	}
	return true
}

func (v *visit) release() {
	v.up.held.Add(-1)
	v.held.Add(-1)
}

// navigation tells whether a person is looking at a browser that is opening this very page.
func (v *visit) navigation() bool {
	h := v.r.Header
	mode := h.Get("Sec-Fetch-Mode")
	return v.r.Method == http.MethodGet && accepts(h, "text/html") &&
		(mode == "" || mode == "navigate") && h.Get("Upgrade") == ""
}

// refused says why the site was not entered.
func (v *visit) refused(ctx context.Context, err error, page bool) {
	var known *site.Error
	switch {
	case v.r.Context().Err() != nil:
		v.gone()
	case errors.As(err, &known):
		v.explain(known)
	case v.Proxy.ctx.Err() != nil:
		v.show(pagePaused)
	case ctx.Err() != nil && page:
		v.show(pageWaking)
	case ctx.Err() != nil:
		v.showSlow(v.limits.Wake)
	default:
		v.fault("enter site", err)
	}
}

// explain turns the heart's reason into a page. The visitor learns which, the log learns why.
func (v *visit) explain(e *site.Error) {
	kind, known := pageOf[e.Code]
	if !known {
		v.fault("enter site", e)
		return
	}
	if kind == pageDown {
		v.down(e)
		return
	}
	v.show(kind)
}

// pageOf says which page a reason is worth.
var pageOf = map[site.Code]*kind{
	site.CodeStopped:     pageStopped,
	site.CodeNotFound:    pageUnknown,
	site.CodeSilent:      pageDown,
	site.CodeServerEnded: pageDown,
	site.CodeDiskBroken:  pageDown,
	site.CodeSiteMemory:  pageDown,
	site.CodeLooping:     pageDown,
	site.CodeDiskMissing: pageDown,
	site.CodeNoTemplate:  pageDown,
	site.CodeHostMemory:  pageFull,
	site.CodeHostDisk:    pageFull,
	site.CodeRuntimeDown: pagePaused,
	site.CodeBusy:        pagePaused,
}

// down is the site's own failure: the page carries a reference that the log and the owner's page know as well.
func (v *visit) down(cause error) {
	v.w.ref = reference()
	if f := v.site.Fault; f != nil && f.Ref != "" {
		v.w.ref = f.Ref
	}
	v.log.Info("site did not answer", "site", v.site.ID, "ref", v.w.ref, "err", cause)
	v.show(pageDown)
}

// fault is our own failure.
func (v *visit) fault(step string, cause error) {
	v.w.ref = reference()
	v.log.Error("visit failed", "site", v.site.ID, "step", step, "ref", v.w.ref, "err", cause)
	v.show(pageFault)
}

// gone notes that the visitor left before the answer; nobody is there to read one.
func (v *visit) gone() { v.w.status = statusGone }

// statusGone stands in the journal for a visitor who left. It is never sent.
const statusGone = 499

// end writes the line of the visit. A panic that is not net/http's own way of cutting an answer off is ours to explain.
func (v *visit) end() {
	problem := recover()
	if problem != nil && problem != http.ErrAbortHandler { //nolint:errorlint // panics carry the value itself
		v.log.Error("visit panicked", "site", v.site.ID, "panic", problem, "stack", string(debug.Stack()))
		if v.w.status == 0 {
			v.show(pageFault)
			problem = nil
		}
	}
	v.w.finish()
	v.line()
	if problem != nil {
		panic(http.ErrAbortHandler) // the answer is cut off and must look so
	}
}

// line hands the visit to the site's journal: no query string, which may hold secrets, and no header. Paths are escaped
// and hosts canonical, so that nothing in it needs more than quotes.
func (v *visit) line() {
	if v.journal == nil || v.site.ID == "" {
		return
	}
	b := make([]byte, 0, 256)
	b = v.began.UTC().AppendFormat(append(b, `{"at":"`...), "2006-01-02T15:04:05.000Z")
	b = append(append(b, `","host":"`...), v.host...)
	b = v.from.AppendTo(append(b, `","ip":"`...))
	b = strconv.AppendQuoteToASCII(append(b, `","do":`...), v.r.Method)
	b = strconv.AppendQuoteToASCII(append(b, `,"path":`...), short(v.r.URL.EscapedPath()))
	b = strconv.AppendInt(append(b, `,"st":`...), int64(v.w.status), 10)
	b = strconv.AppendInt(append(b, `,"n":`...), v.w.written, 10)
	b = strconv.AppendInt(append(b, `,"us":`...), v.now().Sub(v.began).Microseconds(), 10)
	v.journal.Line(v.site.ID, append(b, "}\n"...))
}

// maxPath is how much of a path the journal keeps, in bytes.
const maxPath = 512

func short(path string) string {
	if len(path) > maxPath {
		return path[:maxPath]
	}
	return path
}
