package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"petitpont/site"
	"petitpont/views"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

const templatesPath = "/admin/templates"

// templates lists every version, what is being built, and how far sites have moved.
func (a *App) templates(c echo.Context, who site.Identity) error {
	all, err := a.Sites.Templates(c.Request().Context(), who)
	if err != nil {
		return fmt.Errorf("list templates: %w", err)
	}
	p := views.TemplatesPage{
		Region:    views.Region{ID: "templates", URL: templatesPath, Pace: views.PaceOf(all.Work != nil && !all.Work.Done())},
		Templates: all, Names: templateNames(all),
	}
	return a.live(c, &p.Region,
		func() templ.Component { return views.TemplatesBody(p) },
		func() templ.Component { return views.Templates(p) })
}

// templateNames are the templates that can be built: those there are, and the one every site is made from.
func templateNames(all site.Templates) []string {
	names := []string{site.Offers()[0].Template}
	for _, v := range all.Versions {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (a *App) buildTemplate(c echo.Context, who site.Identity) error {
	ctx, name := c.Request().Context(), c.FormValue("name")
	if err := a.Sites.BuildTemplate(ctx, who, name); err != nil {
		return fmt.Errorf("build template: %w", err)
	}
	return a.accepted(c, views.T(ctx, "said.tpl-build", "v", name), templatesPath)
}

// versionVerb is a handler for what is asked of a version and needs no answer but yes.
func (a *App) versionVerb(verb string, ask func(ctx context.Context, who site.Identity, name, version string) error) personalHandler {
	return func(c echo.Context, who site.Identity) error {
		ctx, name, version := c.Request().Context(), c.FormValue("name"), c.FormValue("version")
		if err := ask(ctx, who, name, version); err != nil {
			return fmt.Errorf("%s template: %w", verb, err)
		}
		return a.accepted(c, views.T(ctx, "said.tpl-"+verb, "v", name+"@"+version), templatesPath)
	}
}

// moveSites begins a wave.
func (a *App) moveSites(c echo.Context, who site.Identity) error {
	ctx, name, version := c.Request().Context(), c.FormValue("name"), c.FormValue("version")
	n, err := a.Sites.MoveSites(ctx, who, name, version)
	if err != nil {
		return fmt.Errorf("move sites: %w", err)
	}
	return a.accepted(c, views.T(ctx, "said.tpl-move", "n", strconv.Itoa(n), "v", name+"@"+version), templatesPath)
}

// retireForm is the question before a version is withdrawn.
func (a *App) retireForm(c echo.Context, who site.Identity) error {
	q, _, err := a.versionQuestion(c, who)
	if err != nil {
		return err
	}
	if q.Dialog {
		return a.page(c, http.StatusOK, views.RetireTemplate(q))
	}
	return a.page(c, http.StatusOK, views.RetireTemplatePage(q))
}

// moveForm is the question before a wave.
func (a *App) moveForm(c echo.Context, who site.Identity) error {
	q, behind, err := a.versionQuestion(c, who)
	if err != nil {
		return err
	}
	q.Moving = behind
	if q.Dialog {
		return a.page(c, http.StatusOK, views.MoveSites(q))
	}
	return a.page(c, http.StatusOK, views.MoveSitesPage(q))
}

// versionQuestion finds the version a question is about, and the sites that are behind it and may follow.
func (a *App) versionQuestion(c echo.Context, who site.Identity) (q views.TemplateQuestion, behind []string, err error) {
	name, version := c.QueryParam("name"), c.QueryParam("version")
	all, err := a.Sites.Templates(c.Request().Context(), who)
	if err != nil {
		return q, nil, fmt.Errorf("list templates: %w", err)
	}
	found := false
	for _, v := range all.Versions { // newest first
		switch {
		case v.Name != name:
		case found:
			behind = append(behind, v.Pinned...)
		case v.Template.Version == version:
			q, found = views.TemplateQuestion{TemplateVersion: v, Dialog: isFragment(c)}, true
		}
	}
	if !found {
		return q, nil, &site.Error{Code: site.CodeNoVersion, Args: site.Args{"v": name + "@" + version}}
	}
	return q, mayMove(behind, all.Waves, name, version), nil
}

// mayMove leaves out the sites that have shown that they keep their version.
func mayMove(names []string, waves []site.WaveState, name, version string) []string {
	for _, w := range waves {
		if w.Template == name && w.Version == version {
			names = slices.DeleteFunc(names, func(n string) bool {
				failed := slices.ContainsFunc(w.Failed, func(f site.FailedMove) bool { return f.Name == n })
				return failed || slices.Contains(w.Kept, n)
			})
		}
	}
	slices.Sort(names)
	return names
}
