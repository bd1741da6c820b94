package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
)

// How the pages look. They carry everything with them: no file of the site's own host is asked for, which may be down,
// and none of the panel's, which has nothing to do there. The page's policy allows exactly this style and this script
// by their hashes.

const style = `:root{color-scheme:light dark;--bg:#f4f6f8;--fg:#1b2733;--soft:#55626f;--line:#dde3e9;--ink:#17597a;--water:#a3c4d6;--glow:#dda23a;--on:#fff}
@media(prefers-color-scheme:dark){:root{--bg:#12171c;--fg:#e6ebf0;--soft:#a3b0bc;--line:#2d3740;--ink:#7cc4e8;--water:#2f5468;--glow:#f1cb85;--on:#0b2230}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;justify-content:center;padding:24px;background:var(--bg);color:var(--fg);font:17px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;text-align:center}
main{width:100%;max-width:34rem}
svg{width:100%;max-width:300px;height:auto;fill:none;stroke:var(--ink);stroke-width:5;stroke-linecap:round;stroke-linejoin:round}
h1{font-size:1.75rem;line-height:1.25;font-weight:650;margin:20px 0 10px;text-wrap:balance}
h2{font-size:1.1rem;margin:0 0 4px}
p{margin:0 0 12px;overflow-wrap:anywhere;text-wrap:pretty}
.b{display:inline-block;margin:10px 0 6px;padding:10px 24px;border-radius:8px;background:var(--ink);color:var(--on);text-decoration:none;font-weight:600}
.o a{color:var(--ink);text-underline-offset:3px}
a:focus-visible{outline:3px solid var(--ink);outline-offset:3px}
section{margin-top:22px;padding-top:18px;border-top:1px solid var(--line);color:var(--soft);font-size:.94rem}
small,footer{color:var(--soft);font-size:.82rem}
footer{margin-top:32px}
.w{stroke:var(--water);stroke-width:3}
.g{stroke:none;fill:var(--glow)}
.s{stroke:var(--glow)}
@media(prefers-reduced-motion:no-preference){.w{animation:w 5s ease-in-out infinite alternate}@keyframes w{to{transform:translateX(9px)}}}`

// script waits on the waking page and loads the site when it answers; on others it tries again when the page said so.
const script = `(function(){
var d=document.body.dataset,l=document.getElementById("long"),go=function(){location.reload()};
if(d.retry){setTimeout(go,d.retry*1000);return}
function ask(){fetch("/.well-known/petitpont/wake",{cache:"no-store"}).then(function(r){return r.ok?r.json():Promise.reject()}).then(function(s){s.state==="waking"?ask():go()}).catch(function(){setTimeout(ask,2000)})}
setTimeout(function(){l.textContent=l.dataset.text},10000);
ask();
})()`

// policy is the Content-Security-Policy of every page.
var policy = "default-src 'none'; style-src '" + hash(style) + "'; script-src '" + hash(script) +
	"'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// The panel's little bridge, in five weathers.
const (
	water = `<path class="w" d="M26 112q12-7 24 0t24 0 24 0 24 0 24 0 24 0 24 0 24 0"/><path class="w" d="M74 123q12-7 24 0t24 0 24 0 24 0"/>`
	arch  = ` pathLength="100" d="M26 74C64 14 176 14 214 74"/>`
	deck  = `<path d="M14 98h212"/>`
	sides = `<path d="M74 44v40M166 44v40"/>`
	whole = water + deck + sides + `<path d="M120 31v53"/><path` + arch

	sceneNight   = whole + `<path class="g" d="M206 8a16 16 0 1 0 14 24 13 13 0 0 1-14-24z"/><circle class="g" cx="30" cy="34" r="2"/><circle class="g" cx="66" cy="12" r="1.5"/><circle class="g" cx="158" cy="10" r="1.5"/>`
	sceneClosed  = whole + `<rect class="s" x="192" y="9" width="25" height="25" rx="6"/>`
	sceneMissing = water + sides + `<path d="M14 98h76M150 98h76"/><path stroke-dasharray="36 28 36"` + arch + `<path class="s" stroke-dasharray=".1 5.5 .1 5.5 .1 5.5 .1 5.5 .1 77.5" stroke-dashoffset="-38.7"` + arch
	sceneBroken  = water + deck + sides + `<path stroke-dasharray="44 12 44"` + arch + `<path class="s" d="m117 17 7 10-9 8 7 11"/>`
	sceneCrowd   = whole + `<circle class="g" cx="42" cy="88" r="5"/><circle class="g" cx="58" cy="88" r="5"/><circle class="g" cx="90" cy="88" r="5"/><circle class="g" cx="106" cy="88" r="5"/><circle class="g" cx="134" cy="88" r="5"/><circle class="g" cx="150" cy="88" r="5"/><circle class="g" cx="182" cy="88" r="5"/><circle class="g" cx="198" cy="88" r="5"/>`
)

const icon = `<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='7' fill='%2317597a'/%3E%3Cpath d='M5 17C10 9 22 9 27 17M10.5 14v8M16 12v10M21.5 14v8M5 23.5h22' fill='none' stroke='%23fff' stroke-width='2.2' stroke-linecap='round'/%3E%3C/svg%3E">`

var layout = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="{{.First.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<title>{{.First.Title}}</title>` + icon + `
{{if .Poll}}<noscript><meta http-equiv="refresh" content="3"></noscript>{{else if .Retry}}<noscript><meta http-equiv="refresh" content="{{.Retry}}"></noscript>{{end}}
<style>` + style + `</style></head>
<body{{if and .Retry (not .Poll)}} data-retry="{{.Retry}}"{{end}}><main><svg viewBox="0 0 240 130" aria-hidden="true">{{.Scene}}</svg>
{{with .First}}<h1>{{.Title}}</h1><p>{{.Text}}</p>{{if .Long}}<p id="long" role="status" data-text="{{.Long}}"></p>{{end}}{{if .Again}}<p><a class="b" href="">{{.Again}}</a></p>{{end}}
{{if .Owner}}<p class="o"><a href="{{$.Owner}}">{{.Owner}}</a></p>{{end}}{{if .Ref}}<p><small>{{.Ref}}</small></p>{{end}}{{end}}
{{range .Rest}}<section lang="{{.Lang}}"><h2>{{.Title}}</h2><p>{{.Text}}</p>{{if .Owner}}<p class="o"><a href="{{$.Owner}}">{{.Owner}}</a></p>{{end}}</section>{{end}}</main>
<footer>petitpont</footer>{{if or .Poll .Retry}}<script>` + script + `</script>{{end}}</body></html>
`))
