package template

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/BurntSushi/toml"

	"petitpont/runtime"
)

//go:embed all:recipes
var recipes embed.FS

var (
	nameForm  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	tokenForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]*$`) // package and suite names (RULE ARG)
)

// Recipe reads one of the recipes that come with the program: recipes/NAME/recipe.toml and the tree NAME/files.
func Recipe(name string) (runtime.Recipe, error) {
	if !nameForm.MatchString(name) {
		return runtime.Recipe{}, fmt.Errorf("recipe %q: %w", name, runtime.ErrNoTemplate)
	}
	dir, err := fs.Sub(recipes, "recipes/"+name)
	if err != nil {
		return runtime.Recipe{}, fmt.Errorf("recipe %s: %w", name, err)
	}
	r, err := ReadRecipe(name, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return runtime.Recipe{}, fmt.Errorf("recipe %q: %w", name, runtime.ErrNoTemplate)
	}
	return r, err
}

// ReadRecipe reads a recipe from a folder. A key it does not know is an error.
func ReadRecipe(name string, dir fs.FS) (runtime.Recipe, error) {
	r := runtime.Recipe{}
	text, err := fs.ReadFile(dir, "recipe.toml")
	if err != nil {
		return r, fmt.Errorf("recipe %s: %w", name, err)
	}
	meta, err := toml.Decode(string(text), &r)
	if err != nil {
		return r, fmt.Errorf("recipe %s: %w", name, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return r, fmt.Errorf("recipe %s: unknown key %s", name, unknown[0])
	}
	r.Name = name
	if r.Files, err = fs.Sub(dir, "files"); err != nil {
		return r, fmt.Errorf("recipe %s: %w", name, err)
	}
	return r, check(r)
}

func check(r runtime.Recipe) error {
	if !nameForm.MatchString(r.Name) || !tokenForm.MatchString(r.Suite) {
		return fmt.Errorf("recipe %q for %q: %w", r.Name, r.Suite, runtime.ErrInvalid)
	}
	for _, p := range r.Packages {
		if !tokenForm.MatchString(p) {
			return fmt.Errorf("recipe %s: package %q: %w", r.Name, p, runtime.ErrInvalid)
		}
	}
	for name, id := range r.Users {
		if !nameForm.MatchString(name) || id < 100 || id > 999 {
			return fmt.Errorf("recipe %s: user %q with number %d: %w", r.Name, name, id, runtime.ErrInvalid)
		}
	}
	for i, t := range r.Trials {
		for _, name := range t.Services {
			if _, ok := r.Services[name]; !ok {
				return fmt.Errorf("recipe %s: trial %d wants service %q: %w", r.Name, i+1, name, runtime.ErrInvalid)
			}
		}
	}
	for name, s := range r.Services {
		if !nameForm.MatchString(name) || len(s.Argv) == 0 || s.Argv[0][0] != '/' || s.User == "" || s.Stop == "" {
			return fmt.Errorf("recipe %s: service %q: %w", r.Name, name, runtime.ErrInvalid)
		}
	}
	return nil
}
