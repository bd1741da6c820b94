package views

import (
	"context"
	"fmt"
	"strings"

	"petitpont/site"
	"petitpont/views/i18n"

	"rsc.io/qr"
)

// own tells whether the reader owns s, rather than administers it.
func own(ctx context.Context, s site.Site) bool { return frame(ctx).Who.Key == s.Owner }

// home is the list a site is on for the reader.
func home(ctx context.Context, s site.Site) string {
	if own(ctx, s) {
		return "/"
	}
	return "/admin/sites"
}

// user is the SSH name that opens this site alone.
func (o Overview) user() string { return o.SFTP.Login + "+" + o.Name }

// folder is where the files go that make the site: its pages, or its program.
func (o Overview) folder() string {
	switch o.Stack.Language {
	case "python", "node":
		return "/app"
	}
	return "/www"
}

// sftpHint says what to type once a site is open.
func (o Overview) sftpHint(ctx context.Context) string {
	file := map[string]string{"python": "app.py", "node": "server.js"}[o.Stack.Language]
	if file == "" {
		return t(ctx, "over.cmd-sftp")
	}
	return t(ctx, "over.cmd-app", "file", file)
}

// setup are the keys of the first steps of the site's language.
func (o Overview) setup() []string {
	var keys []string
	for n := 1; ; n++ {
		key := fmt.Sprintf("setup.%s-%d", o.Stack.Language, n)
		if !i18n.Has(key) {
			return keys
		}
		keys = append(keys, key)
	}
}

func (o Overview) sftpSite() string { return o.ssh("sftp", "-P") + o.user() + "@" + o.SFTP.Host }

func (o Overview) sftpAll() string { return o.ssh("sftp", "-P") + o.SFTP.Login + "@" + o.SFTP.Host }

func (o Overview) scpSite() string {
	return o.ssh("scp -r", "-P") + "./site/* " + o.user() + "@" + o.SFTP.Host + ":" + o.folder() + "/"
}

// ssh begins a command; the usual port is not said.
func (o Overview) ssh(command, flag string) string {
	if o.SFTP.Port == 22 {
		return command + " "
	}
	return fmt.Sprintf("%s %s %d ", command, flag, o.SFTP.Port)
}

// picture is a QR code as one SVG path, with the quiet zone around it.
type picture struct {
	Side int
	Path string
}

func drawQR(text string) (picture, bool) {
	const margin = 4
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return picture{}, false
	}
	var b strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+margin, y+margin)
			}
		}
	}
	return picture{code.Size + 2*margin, b.String()}, true
}
