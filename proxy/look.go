package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
)

// How the pages look. They carry everything with them: no file of the site's own host is asked for, which may be down,
// and none of the panel's, which has nothing to do there. The page's policy allows exactly this style and this script
// by their hashes.

const style = `:root{color-scheme:light dark;--bg:#f4f7fa;--fg:#1c2733;--soft:#516273;--line:#d5dee7;--ink:#33658a;--water:#9dbdd6;--glow:#e0a437;--btn:#2b5f86;--on:#fff}
@media(prefers-color-scheme:dark){:root{--bg:#11181f;--fg:#e8eef4;--soft:#a3b3c2;--line:#2b3743;--ink:#86b6d9;--water:#31526c;--glow:#f0c674;--btn:#86b6d9;--on:#0d1a24}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;justify-content:center;padding:24px;background:var(--bg);color:var(--fg);font:17px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;text-align:center}
main{width:100%;max-width:34rem}
svg{width:100%;max-width:300px;height:auto;fill:none;stroke:var(--ink);stroke-width:4;stroke-linecap:round;stroke-linejoin:round}
h1{font-size:1.75rem;line-height:1.25;font-weight:650;margin:20px 0 10px;text-wrap:balance}
h2{font-size:1.1rem;margin:0 0 4px}
p{margin:0 0 12px;overflow-wrap:anywhere;text-wrap:pretty}
.b{display:inline-block;margin:10px 0 6px;padding:10px 24px;border-radius:8px;background:var(--btn);color:var(--on);text-decoration:none;font-weight:600}
.o a{color:var(--ink);text-underline-offset:3px}
a:focus-visible{outline:3px solid var(--glow);outline-offset:3px}
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

// The little bridge, in five weathers.
const (
	water   = `<path class="w" d="M26 104q12-7 24 0t24 0 24 0 24 0 24 0 24 0 24 0 24 0"/><path class="w" d="M74 116q12-7 24 0t24 0 24 0 24 0"/>`
	bridge  = `<path d="M14 76Q120 34 226 76M62 98V62M178 98V62M62 92a58 36 0 0 1 116 0"/>`
	sceneUp = water + bridge

	sceneNight   = `<path class="g" d="M196 10a16 16 0 1 0 14 24 13 13 0 0 1-14-24z"/><circle class="g" cx="52" cy="22" r="2"/><circle class="g" cx="92" cy="10" r="1.5"/><circle class="g" cx="150" cy="20" r="1.5"/>` + sceneUp
	sceneClosed  = sceneUp + `<path class="s" d="M96 24h48M96 34h48M102 24v24M138 24v24"/>`
	sceneMissing = water + `<path d="M14 76q33-13 68-18M226 76q-33-13-68-18M62 98V63M178 98V63M62 92q4-15 15-23M178 92q-4-15-15-23"/><path class="s" stroke-dasharray="1 10" d="M96 56q24-3 48 0"/>`
	sceneBroken  = water + `<path d="M14 76Q62 57 111 55M226 76q-44-17-92-20M62 98V62M178 98V62M62 92q10-28 44-35M178 92q-6-20-30-30"/><path class="s" d="m118 46 6 9-9 8 7 10"/>`
	sceneCrowd   = sceneUp + `<circle class="g" cx="60" cy="46" r="6"/><circle class="g" cx="84" cy="38" r="6"/><circle class="g" cx="108" cy="34" r="6"/><circle class="g" cx="132" cy="34" r="6"/><circle class="g" cx="156" cy="38" r="6"/><circle class="g" cx="180" cy="46" r="6"/>`
)

const icon = `<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' fill='none' stroke='%234a86b0' stroke-width='3' stroke-linecap='round'%3E%3Cpath d='M2 18Q16 6 30 18M8 26V14M24 26V14M8 25a8 8 0 0 1 16 0'/%3E%3C/svg%3E">`

var layout = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="{{.First.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<title>{{.First.Title}}</title>` + icon + `
{{if .Poll}}<noscript><meta http-equiv="refresh" content="3"></noscript>{{else if .Retry}}<noscript><meta http-equiv="refresh" content="{{.Retry}}"></noscript>{{end}}
<style>` + style + `</style></head>
<body{{if and .Retry (not .Poll)}} data-retry="{{.Retry}}"{{end}}><main><svg viewBox="0 0 240 124" aria-hidden="true">{{.Scene}}</svg>
{{with .First}}<h1>{{.Title}}</h1><p>{{.Text}}</p>{{if .Long}}<p id="long" role="status" data-text="{{.Long}}"></p>{{end}}{{if .Again}}<p><a class="b" href="">{{.Again}}</a></p>{{end}}
{{if .Owner}}<p class="o"><a href="{{$.Owner}}">{{.Owner}}</a></p>{{end}}{{if .Ref}}<p><small>{{.Ref}}</small></p>{{end}}{{end}}
{{range .Rest}}<section lang="{{.Lang}}"><h2>{{.Title}}</h2><p>{{.Text}}</p>{{if .Owner}}<p class="o"><a href="{{$.Owner}}">{{.Owner}}</a></p>{{end}}</section>{{end}}</main>
<footer>petitpont</footer>{{if or .Poll .Retry}}<script>` + script + `</script>{{end}}</body></html>
`))
