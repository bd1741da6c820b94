package views

import (
	"context"
	"fmt"
	"net/url"

	"petitpont/runtime"
	"petitpont/site"
	"petitpont/views/i18n"
)

// TemplatesPage is P20.
type TemplatesPage struct {
	Region
	site.Templates
	Names []string // templates that can be built
}

// TemplateQuestion is asked before something that is done to a version.
type TemplateQuestion struct {
	site.TemplateVersion
	Moving []string // Move: names of the sites that are behind
	Dialog bool
	Fault  string
}

// Few names are said, and how many more there are.
const fewNames = 12

func some(names []string) []string { return names[:min(len(names), fewNames)] }

func on(v site.TemplateVersion) string { return v.Name + "@" + v.Template.Version }

// versionAt is the address of a question about a version.
func versionAt(verb string, v site.TemplateVersion) string {
	return "/admin/templates/" + verb + "?" + url.Values{"name": {v.Name}, "version": {v.Template.Version}}.Encode()
}

// stageOf is where a version stands in its life.
func stageOf(v site.TemplateVersion) verdict {
	switch {
	case v.Newest:
		return verdict{"tpl.default", "check-circle", "green"}
	case v.Published:
		return verdict{"tpl.published", "check-lg", "grey"}
	}
	return verdict{"tpl.draft", "square", "grey"}
}

// testOf is what its last test said.
func testOf(ctx context.Context, v site.TemplateVersion) (verdict, string) {
	switch {
	case v.Fault != "":
		return verdict{"tpl.failed", "x-circle", "red"}, ""
	case v.TestedAt.IsZero():
		return verdict{"tpl.untested", "question-circle", "grey"}, ""
	}
	return verdict{"", "check-circle", "green"}, t(ctx, "tpl.passed", "t", ago(ctx, v.TestedAt))
}

func countKey(key string, n int) string {
	if one := key + "-one"; n == 1 && i18n.Has(one) {
		return one
	}
	return key
}

func counted(ctx context.Context, key string, n int, pairs ...string) string {
	return t(ctx, countKey(key, n), append(pairs, "n", fmt.Sprint(n))...)
}

// working says what is being done on the bench.
func working(ctx context.Context, w *site.Work) string {
	if w.Version == "" {
		return t(ctx, "tpl.work-building", "t", w.Template)
	}
	return t(ctx, "tpl.work-testing", "t", w.Template+"@"+w.Version)
}

// buildSteps are the steps that are shown, in their order.
var buildSteps = []runtime.BuildStep{
	runtime.BuildLists, runtime.BuildDownload, runtime.BuildUnpack, runtime.BuildInstall, runtime.BuildSetUp,
	runtime.BuildClean, runtime.BuildWrite, runtime.BuildTest,
}

// buildStage is where a step of a build stands: done, running or waiting.
func buildStage(w *site.Work, s runtime.BuildStep) string {
	for _, x := range buildSteps {
		switch {
		case x == s && x == w.Build.Step:
			return "running"
		case x == s:
			return "done"
		case x == w.Build.Step:
			return "waiting"
		}
	}
	return "waiting"
}

// written says how much a step has written, when it says so.
func written(ctx context.Context, b runtime.Build) string {
	switch {
	case b.Total > 0:
		return outOf(ctx, b.Done, b.Total)
	case b.Done > 0:
		return t(ctx, "tpl.work-bytes", "u", size(ctx, b.Done))
	}
	return t(ctx, "progress.running")
}
