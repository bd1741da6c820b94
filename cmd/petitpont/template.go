package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"petitpont/runtime"
	"petitpont/runtime/unshare/template"
)

func templateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "template", Short: "Build and list what sites are made from"}
	var config string
	cmd.PersistentFlags().StringVar(&config, "config", "/etc/petitpont/petitpont.toml", "configuration file")
	cmd.AddCommand(&cobra.Command{
		Use: "build NAME", Short: "Build a new version of a template and publish it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			built, err := buildTemplate(cmd.Context(), c, args[0], os.Stderr)
			if err != nil {
				return err
			}
			fmt.Printf("%s@%s\n", built.Name, built.Version)
			return nil
		},
	}, &cobra.Command{
		Use: "list", Short: "List the published templates", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			list, err := template.List(c.templates())
			for _, t := range list {
				fmt.Printf("%s@%s\t%d\t%v\n", t.Name, t.Version, t.Bytes, t.Services)
			}
			return err
		},
	})
	return cmd
}

// buildTemplate builds and publishes a new version, with a progress bar on w.
func buildTemplate(ctx context.Context, c Config, name string, w io.Writer) (runtime.Template, error) {
	recipe, err := template.Recipe(name)
	if err != nil {
		return runtime.Template{}, err
	}
	bar := newBar(w)
	defer bar.end()
	return template.Build(ctx, recipe, template.Options{
		Dir: c.templates(), Mirror: c.Template.Mirror, Proxy: c.Template.Proxy,
		Log: newLog(io.Discard), Progress: bar.step,
	})
}
