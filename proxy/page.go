package proxy

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"petitpont/views/i18n"
)

// kind is one of the pages that stand in for a site. Its words are proxy.<name>.* in views/i18n.
type kind struct {
	name   string
	status int
	retry  int    // seconds, said in Retry-After and, on a page, done by it; 0 promises nothing
	owner  string // where the person in charge is sent: below the panel; %s is the site's name; "" has no link
	scene  string // what the picture shows, see look.go
}

// The pages.
var (
	pageWaking      = &kind{"waking", http.StatusServiceUnavailable, 2, "", sceneNight}
	pageStopped     = &kind{"stopped", http.StatusServiceUnavailable, 0, "/s/%s", sceneClosed}
	pageUnknown     = &kind{"unknown", http.StatusNotFound, 0, "/new", sceneMissing}
	pageDown        = &kind{"down", http.StatusBadGateway, 0, "/s/%s", sceneBroken}
	pageSlow        = &kind{"slow", http.StatusGatewayTimeout, 0, "/s/%s", sceneBroken}
	pageFull        = &kind{"full", http.StatusServiceUnavailable, 60, "", sceneCrowd}
	pageCrowded     = &kind{"crowded", http.StatusServiceUnavailable, 10, "", sceneCrowd}
	pagePaused      = &kind{"paused", http.StatusServiceUnavailable, 10, "", sceneClosed}
	pageFault       = &kind{"fault", http.StatusInternalServerError, 0, "", sceneBroken}
	pageLarge       = &kind{"large", http.StatusRequestEntityTooLarge, 0, "", sceneClosed}
	pageBad         = &kind{"bad", http.StatusBadRequest, 0, "", sceneMissing}
	pageMethod      = &kind{"method", http.StatusMethodNotAllowed, 0, "", sceneClosed}
	pageMisdirected = &kind{"misdirected", http.StatusMisdirectedRequest, 0, "", sceneMissing}
	pageNothing     = &kind{"nothing", http.StatusNotFound, 0, "", sceneMissing}
)

// show answers with page k, in the visitor's language and in the form the visitor can read.
func (v *visit) show(k *kind) { v.showWith(k) }

// showWith is show with further placeholders, as key, value.
func (v *visit) showWith(k *kind, pairs ...string) {
	said := &speech{kind: k, limit: v.limits.Body, args: i18n.Args{
		"host": v.host, "ref": v.w.ref, "n": strconv.Itoa(k.retry),
	}}
	for i := 0; i+1 < len(pairs); i += 2 {
		said.args[pairs[i]] = pairs[i+1]
	}
	langs := languages(v.r.Header.Get("Accept-Language"))
	body, media := v.body(said, langs)

	h := v.w.Header()
	platform(h)
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Content-Security-Policy", policy)
	if len(langs) == 1 {
		h.Set("Content-Language", string(langs[0]))
	}
	if k.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(k.retry))
	}
	if k == pageLarge || k == pageBad {
		v.w.last = true // nobody wants the rest of that body, nor what may hide in it
	}
	v.w.WriteHeader(k.status)
	v.w.Write(body) //nolint:errcheck // the visitor may have left
}

// platform marks an answer as ours: never stored, never indexed.
func platform(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

// body says a page as HTML to browsers, as JSON to programs that ask for it, and as one line of text to all others.
func (v *visit) body(s *speech, langs []i18n.Lang) (body []byte, media string) {
	switch {
	case accepts(v.r.Header, "text/html"):
		return v.html(s, langs), "text/html; charset=utf-8"
	case accepts(v.r.Header, "application/json"):
		return s.json(langs[0]), "application/json"
	default:
		return []byte(s.text(langs)), "text/plain; charset=utf-8"
	}
}

// accepts tells whether the Accept header names media outright; what merely takes anything is served text.
func accepts(h http.Header, media string) bool {
	for _, line := range h["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), media) {
				return true
			}
		}
	}
	return false
}

// languages is what to say a page in: the visitor's choice, or both when we speak none of the visitor's.
func languages(accept string) []i18n.Lang {
	for part := range strings.SplitSeq(strings.ToLower(accept), ",") {
		tag := strings.TrimSpace(part)
		if strings.HasPrefix(tag, "fr") || strings.HasPrefix(tag, "en") {
			return []i18n.Lang{i18n.Pick(accept)}
		}
	}
	return []i18n.Lang{i18n.FR, i18n.EN}
}

// speech is a page with what its words need.
type speech struct {
	*kind
	args  i18n.Args
	limit int64 // bytes of an upload
}

func (s *speech) say(l i18n.Lang, part string) string {
	return i18n.T(l, "proxy."+s.name+"."+part, s.args, i18n.Args{"size": i18n.Bytes(l, s.limit)})
}

// line is the title and its sentence.
func (s *speech) line(l i18n.Lang) string { return s.say(l, "title") + sep(l) + s.say(l, "text") }

func (s *speech) json(l i18n.Lang) []byte {
	body, err := json.Marshal(struct {
		Error   string `json:"error"`
		Message string `json:"message"`
		Ref     string `json:"ref,omitempty"`
		Retry   int    `json:"retry,omitempty"` // seconds
	}{s.name, s.line(l), s.args["ref"], s.retry})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return append(body, '\n')
}

func (s *speech) text(langs []i18n.Lang) string {
	lines := make([]string, len(langs))
	for i, l := range langs {
		lines[i] = s.line(l)
	}
	all := strings.Join(lines, " | ")
	if ref := s.args["ref"]; ref != "" {
		all += " [" + ref + "]"
	}
	return all + "\n"
}

// sep stands between a title and its sentence.
func sep(l i18n.Lang) string {
	if l == i18n.FR {
		return "\u00a0: "
	}
	return ": "
}

// words is one language's part of a page; what a page does not say is "".
type words struct {
	Lang                                 i18n.Lang
	Title, Text, Long, Again, Owner, Ref string
}

// in is what the page says in l. owned tells whether there is a link for the person in charge.
func (s *speech) in(l i18n.Lang, owned bool) words {
	w := words{Lang: l, Title: s.say(l, "title"), Text: s.say(l, "text"), Again: i18n.T(l, "proxy.retry")}
	switch s.kind {
	case pageWaking:
		w.Long = s.say(l, "long")
	case pageLarge:
		w.Again = i18n.T(l, "proxy.back")
	case pageUnknown, pageNothing:
		w.Again = ""
	}
	if owned {
		w.Owner = s.say(l, "owner")
	}
	if s.args["ref"] != "" {
		w.Ref = i18n.T(l, "proxy.ref", s.args)
	}
	return w
}

// html fills the layout. Everything that is not ours goes through html/template's escaping (RULE TEXT).
func (v *visit) html(s *speech, langs []i18n.Lang) []byte {
	link := v.ownerLink(s.kind)
	said := make([]words, len(langs))
	for i, l := range langs {
		said[i] = s.in(l, link != "")
	}
	retry := s.retry
	if v.r.Method != http.MethodGet {
		retry = 0 // sending a form again is the visitor's decision
	}
	var page bytes.Buffer
	if err := layout.Execute(&page, sheet{
		First: said[0], Rest: said[1:], Owner: link,
		Scene: template.HTML(s.scene), //nolint:gosec // a constant of look.go
		Poll:  s.kind == pageWaking, Retry: retry,
	}); err != nil {
		panic(fmt.Sprintf("page %s: %v", s.name, err)) // a constant template over plain strings
	}
	return page.Bytes()
}

// sheet is what the layout is filled with.
type sheet struct {
	First words
	Rest  []words
	Owner string // link
	Scene template.HTML
	Poll  bool
	Retry int // seconds
}

// ownerLink leads the person in charge to the panel, with the reference of what went wrong.
func (v *visit) ownerLink(k *kind) string {
	if v.panel == "" || k.owner == "" {
		return ""
	}
	path, query := k.owner, url.Values{}
	if strings.Contains(path, "%s") {
		path = fmt.Sprintf(path, url.PathEscape(v.site.Name))
	}
	if k == pageUnknown {
		label, _, _ := strings.Cut(v.host, ".")
		query.Set("name", label)
	}
	if v.w.ref != "" {
		query.Set("ref", v.w.ref)
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return v.panel + path
}

// reference is a short mark, as 7F3A-21, that stands on the page and in the log.
func reference() string {
	var b [3]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%02X%02X-%02d", b[0], b[1], int(b[2])%100)
}
