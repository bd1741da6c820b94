//go:build ignore

// Refresh copies what the panel takes from npm into static/dist, which is committed: a plain go build needs no node.
//
// Run it by "go generate ./static" after a change of package.json or of the list of icons below, and look at the diff.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// icons are the shapes the pages use, by their names in bootstrap-icons.
var icons = strings.Fields(`
	arrow-clockwise arrow-left arrow-repeat arrow-up arrow-down box-arrow-up-right check-circle check-lg chevron-down
	circle-half clipboard exclamation-triangle folder2-open globe2 hdd hourglass-split info-circle key memory moon
	moon-stars person-circle play-fill plus-lg question-circle search shield-check sliders square stop-fill sun terminal
	three-dots trash3 wifi-off x-circle x-lg`)

// files are copied as they are, but for the pointer to a source map that is not served.
var files = map[string]string{
	"bootstrap/dist/css/bootstrap.min.css": "bootstrap.min.css",
	"htmx.org/dist/htmx.min.js":            "htmx.min.js",
	"bootstrap/LICENSE":                    "LICENSES/bootstrap.txt",
	"bootstrap-icons/LICENSE":              "LICENSES/bootstrap-icons.txt",
	"htmx.org/LICENSE":                     "LICENSES/htmx.txt",
}

var sourceMap = regexp.MustCompile(`(?m)^(/\*|//)# sourceMappingURL=.*\n?`)

func main() {
	log.SetFlags(0)
	npm := exec.Command("npm", "ci")
	npm.Dir, npm.Stdout, npm.Stderr = "npm", os.Stdout, os.Stderr
	check(npm.Run())
	for from, to := range files {
		b, err := os.ReadFile(filepath.Join("npm/node_modules", from))
		check(err)
		write(to, sourceMap.ReplaceAll(b, nil))
	}
	write("icons.svg", sprite())
}

// sprite puts every icon into one file as a <symbol>, so that a page names a shape and the browser keeps one file.
func sprite() []byte {
	var b bytes.Buffer
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg">` + "\n")
	body := regexp.MustCompile(`(?s)<svg[^>]*viewBox="([^"]+)"[^>]*>(.*)</svg>`)
	for _, name := range icons {
		svg, err := os.ReadFile("npm/node_modules/bootstrap-icons/icons/" + name + ".svg")
		check(err)
		m := body.FindSubmatch(svg)
		if m == nil {
			log.Fatalf("icon %s: no viewBox", name)
		}
		shape := strings.Join(strings.Fields(string(m[2])), " ")
		fmt.Fprintf(&b, `<symbol id="%s" viewBox="%s" fill="currentColor">%s</symbol>`+"\n", name, m[1], shape)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func write(name string, b []byte) {
	path := filepath.Join("dist", name)
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	check(os.WriteFile(path, b, 0o644))
	log.Printf("%-32s %d bytes", name, len(b))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
