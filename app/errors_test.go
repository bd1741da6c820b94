package app

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"petitpont/site"
	"petitpont/views/i18n"
)

// codes reads every constant of type site.Code out of the source, so that a new one cannot be forgotten here.
func codes(t *testing.T) []site.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../site/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []site.Code
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := v.Type.(*ast.Ident); ok && name.Name == "Code" {
			s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, site.Code(s))
		}
		return true
	})
	return all
}

func TestEveryCodeHasAStatusAndASentence(t *testing.T) {
	all := codes(t)
	if len(all) < 20 {
		t.Fatalf("found %d codes: the search itself is broken", len(all))
	}
	for _, c := range all {
		if _, ok := statuses[c]; !ok {
			t.Errorf("%s has no status", c)
		}
		if !i18n.Has("error." + string(c)) {
			t.Errorf("%s has no sentence", c)
		}
	}
}
