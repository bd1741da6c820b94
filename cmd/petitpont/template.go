package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"petitpont/runtime"
	"petitpont/runtime/remote"
)

func templateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "template", Short: "Build, test, publish and retire what sites are made from"}
	var config string
	cmd.PersistentFlags().StringVar(&config, "config", "/etc/petitpont/petitpont.toml", "configuration file")
	with := func(do func(*cobra.Command, runtime.Keeper, []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			return keeping(cmd.Context(), c, func(k runtime.Keeper) error { return do(cmd, k, args) })
		}
	}
	cmd.AddCommand(listTemplates(with), buildTemplate(with), testTemplate(with),
		&cobra.Command{
			Use: "publish NAME@VERSION", Short: "Let new sites be made of a version that passed its test", Args: cobra.ExactArgs(1),
			RunE: with(func(cmd *cobra.Command, k runtime.Keeper, args []string) error {
				name, version, err := splitVersion(args[0])
				if err != nil {
					return err
				}
				return k.PublishTemplate(cmd.Context(), name, version)
			}),
		},
		&cobra.Command{
			Use: "retire NAME@VERSION", Short: "Remove a version that no site is pinned to", Args: cobra.ExactArgs(1),
			RunE: with(func(cmd *cobra.Command, k runtime.Keeper, args []string) error {
				name, version, err := splitVersion(args[0])
				if err != nil {
					return err
				}
				return k.RetireTemplate(cmd.Context(), name, version)
			}),
		})
	return cmd
}

type keeperCommand = func(func(*cobra.Command, runtime.Keeper, []string) error) func(*cobra.Command, []string) error

func listTemplates(with keeperCommand) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List every version, with how many sites are pinned to it", Args: cobra.NoArgs,
		RunE: with(func(cmd *cobra.Command, k runtime.Keeper, _ []string) error {
			all, err := k.Versions(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeVersions(cmd.OutOrStdout(), all)
			}
			return tableOf(cmd.OutOrStdout(), all)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

// versionLine is a version in the form that scripts may rely on.
type versionLine struct {
	Name      string     `json:"name"`
	Version   string     `json:"version"`
	BuiltAt   time.Time  `json:"built_at"`
	Bytes     int64      `json:"bytes"`
	Services  []string   `json:"services"`
	TestedAt  *time.Time `json:"tested_at"`
	Fault     string     `json:"fault"`
	Published bool       `json:"published"`
	Sites     int        `json:"sites"`
}

func writeVersions(w io.Writer, all []runtime.Version) error {
	lines := make([]versionLine, len(all))
	for i, v := range all {
		lines[i] = versionLine{
			Name: v.Name, Version: v.Version, BuiltAt: v.BuiltAt, Bytes: v.Bytes, Services: v.Services,
			Fault: v.Fault, Published: v.Published, Sites: v.Sites,
		}
		if !v.TestedAt.IsZero() {
			lines[i].TestedAt = &v.TestedAt
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(lines)
}

func tableOf(w io.Writer, all []runtime.Version) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "VERSION\tBUILT\tMB\tSTATE\tSITES\tSERVICES")
	for _, v := range all {
		fmt.Fprintf(t, "%s@%s\t%s\t%d\t%s\t%d\t%s\n", v.Name, v.Version, v.BuiltAt.Local().Format("2006-01-02 15:04"),
			v.Bytes>>20, stateOf(v), v.Sites, strings.Join(v.Services, " "))
	}
	return t.Flush()
}

func stateOf(v runtime.Version) string {
	switch {
	case v.Published:
		return "published"
	case v.Fault != "":
		return "failed its test"
	case v.TestedAt.IsZero():
		return "built"
	}
	return "tested"
}

func buildTemplate(with keeperCommand) *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use: "build NAME", Short: "Build a new version, test it and publish it", Args: cobra.ExactArgs(1),
		RunE: with(func(cmd *cobra.Command, k runtime.Keeper, args []string) error {
			built, err := makeTemplate(cmd.Context(), k, args[0], cmd.ErrOrStderr(), !only)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s@%s\n", built.Name, built.Version)
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&only, "only", false, "neither test nor publish it yet")
	return cmd
}

func testTemplate(with keeperCommand) *cobra.Command {
	return &cobra.Command{
		Use: "test NAME@VERSION", Short: "Look whether throw-away sites of a version answer", Args: cobra.ExactArgs(1),
		RunE: with(func(cmd *cobra.Command, k runtime.Keeper, args []string) error {
			name, version, err := splitVersion(args[0])
			if err != nil {
				return err
			}
			bar := newBar(cmd.ErrOrStderr())
			defer bar.end()
			return k.TestTemplate(runtime.WithBuild(cmd.Context(), bar.report), name, version)
		}),
	}
}

// makeTemplate builds a version; with publish also tests and publishes it. A progress bar is on w.
func makeTemplate(ctx context.Context, k runtime.Keeper, name string, w io.Writer, publish bool) (runtime.Version, error) {
	bar := newBar(w)
	defer bar.end()
	ctx = runtime.WithBuild(ctx, bar.report)
	built, err := k.BuildTemplate(ctx, name)
	if err != nil || !publish {
		return built, err
	}
	if err := k.TestTemplate(ctx, name, built.Version); err != nil {
		return built, err
	}
	return built, k.PublishTemplate(ctx, name, built.Version)
}

func splitVersion(arg string) (name, version string, err error) {
	name, version, ok := strings.Cut(arg, "@")
	if !ok || name == "" || version == "" {
		return "", "", fmt.Errorf("%q: want NAME@VERSION, as `petitpont template list` shows them", arg)
	}
	return name, version, nil
}

// keeping hands out the runtime that runs, or, when none does, one of its own for as long as do needs it.
func keeping(ctx context.Context, c Config, do func(runtime.Keeper) error) error {
	client := remote.Dial(c.socket())
	_, err := client.Versions(ctx)
	switch {
	case err == nil:
		return do(client)
	case errors.Is(err, os.ErrPermission) || !errors.Is(err, runtime.ErrDown):
		return err
	case os.Geteuid() != 0:
		return fmt.Errorf("%w: without it, templates are root's", err)
	}
	driver, net, err := openDriver(c, newLog(io.Discard))
	if err != nil {
		return err
	}
	running, listErr := driver.List(ctx)
	err = errors.Join(do(driver), driver.Close())
	for _, i := range running {
		if i.Status != runtime.Stopped {
			return errors.Join(err, listErr) // sites outlive a runtime, and need their network
		}
	}
	return errors.Join(err, listErr, net.Close())
}

// stepWords name the steps of a build.
var stepWords = map[runtime.BuildStep]string{
	runtime.BuildLists:    "reading package lists",
	runtime.BuildDownload: "downloading packages",
	runtime.BuildUnpack:   "unpacking the base system",
	runtime.BuildInstall:  "installing packages",
	runtime.BuildSetUp:    "setting up and checking",
	runtime.BuildClean:    "removing what no site needs",
	runtime.BuildWrite:    "writing to disk",
	runtime.BuildTest:     "trying it with throw-away sites",
}
