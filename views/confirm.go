package views

import "github.com/a-h/templ"

// hx sends the answer from inside the dialog, so that a refusal is said there; on a page the form is a plain form.
func (q Question) hx(verb string) templ.Attributes {
	if !q.Dialog {
		return nil
	}
	return templ.Attributes{
		"hx-post": sitePath(q.Site.Name, verb), "hx-target": "#dialog-body", "hx-swap": "innerHTML",
		"hx-disable": "find button",
	}
}
