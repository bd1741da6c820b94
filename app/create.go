package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"petitpont/site"
	"petitpont/views"

	"github.com/labstack/echo/v4"
)

func (a *App) createForm(c echo.Context, who site.Identity) error {
	mine, err := a.Sites.Mine(c.Request().Context(), who)
	if err != nil {
		return fmt.Errorf("list sites: %w", err)
	}
	f, err := a.newForm(c, who, len(mine))
	if err != nil {
		return err
	}
	return a.page(c, http.StatusOK, views.Create(f))
}

// newForm is filled in already: with the name asked for, or one made from the login, so that one click is enough.
func (a *App) newForm(c echo.Context, who site.Identity, have int) (views.CreateForm, error) {
	plan := a.Sites.Plan(who)
	f := views.CreateForm{Options: a.options(c), Limits: plan.Limits, Have: have, Max: plan.Sites, First: have == 0}
	if f.Name = c.QueryParam("name"); f.Name != "" {
		return f, a.judge(c.Request().Context(), who, &f)
	}
	f.Name = a.Sites.Suggest(who)
	return f, nil
}

// offers are the names a refusal proposes instead.
func offers(e *site.Error) []string {
	var all []string
	for _, key := range []string{"fix", "a", "b"} {
		if n := e.Args[key]; n != "" {
			all = append(all, n)
		}
	}
	return all
}

// judge says what there is to say about the name in f. Only what is no judgement comes back as an error.
func (a *App) judge(ctx context.Context, who site.Identity, f *views.CreateForm) error {
	if strings.TrimSpace(f.Name) == "" {
		f.Fault, f.Blame = views.T(ctx, "create.required"), true
		return nil
	}
	clean, err := a.Sites.CheckName(ctx, who, f.Name)
	if err != nil {
		return blame(ctx, f, err)
	}
	f.Free = true
	if clean != strings.TrimSpace(f.Name) {
		f.Clean = clean
	}
	return nil
}

// blame puts a refusal into the form, beside the name if the name is at fault.
func blame(ctx context.Context, f *views.CreateForm, err error) error {
	var refused *site.Error
	if !errors.As(err, &refused) || refused.Code == site.CodeUnexpected {
		return err
	}
	f.Free, f.Clean = false, ""
	f.Fault = views.Sentence(ctx, refused.Code, refused.Args)
	switch refused.Code {
	case site.CodeNameBad, site.CodeNameReserved, site.CodeNameTaken:
		f.Blame, f.Offers = true, offers(refused)
	case site.CodeStack:
		f.Options.Fault, f.Fault = f.Fault, ""
	}
	return nil
}

// checkName is asked while the person types.
func (a *App) checkName(c echo.Context, who site.Identity) error {
	f := views.CreateForm{Name: c.QueryParam("name")}
	if err := a.judge(c.Request().Context(), who, &f); err != nil {
		return err
	}
	return a.page(c, http.StatusOK, views.NameField(f))
}

// create asks for a site and goes to watch it being made. A refusal keeps everything that was typed.
func (a *App) create(c echo.Context, who site.Identity) error {
	ctx := c.Request().Context()
	raw := c.FormValue("name")
	if strings.TrimSpace(raw) == "" {
		return a.refuseCreate(c, who, nil)
	}
	s, err := a.Sites.Create(ctx, who, site.New{Name: raw, Stack: stackOf(a.options(c))})
	if err != nil {
		return a.refuseCreate(c, who, err)
	}
	return c.Redirect(http.StatusSeeOther, sitePath(s)+"/progress")
}

// options are what the form says of the stack: a card, and what was chosen over it. Which of it can be had, the heart
// decides.
func (a *App) options(c echo.Context) views.Options {
	o := views.Options{
		Choices: a.Sites.Choices(c.Request().Context()),
		Server:  c.FormValue("server"), Database: c.FormValue("database"),
	}
	for i, s := range o.Choices.Offers() {
		if i == 0 || s.Key() == c.FormValue("stack") {
			o.Card = s
		}
	}
	return o
}

func stackOf(o views.Options) site.Stack {
	s := o.Card
	s.Server = cmp.Or(o.Server, s.Server)
	s.Database = cmp.Or(o.Database, s.Database)
	return s
}

// stackOptions is asked when another card is chosen.
func (a *App) stackOptions(c echo.Context, _ site.Identity) error {
	return a.page(c, http.StatusOK, views.StackOptions(a.options(c)))
}

// refuseCreate shows the form again; err nil means that no name was given.
func (a *App) refuseCreate(c echo.Context, who site.Identity, err error) error {
	ctx := c.Request().Context()
	mine, lost := a.Sites.Mine(ctx, who)
	if lost != nil {
		return fmt.Errorf("list sites: %w", lost)
	}
	plan := a.Sites.Plan(who)
	f := views.CreateForm{Name: c.FormValue("name"), Options: a.options(c), Limits: plan.Limits, Have: len(mine), Max: plan.Sites}
	status := http.StatusUnprocessableEntity
	if err == nil {
		f.Fault, f.Blame = views.T(ctx, "create.required"), true
	} else if err := blame(ctx, &f, err); err != nil {
		return fmt.Errorf("create site: %w", err)
	}
	var refused *site.Error
	if errors.As(err, &refused) {
		status = statusOf(refused.Code)
		a.announce(c, refused, status)
	}
	return a.page(c, status, views.Create(f))
}
