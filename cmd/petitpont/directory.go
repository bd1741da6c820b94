package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"petitpont/site/ldap"
	"petitpont/site/ldap/ldaptest"
)

// directoryFile is written last: whoever waits for it finds everything.
const directoryFile = "directory.json"

// directoryCommand is the demo's school: four people in an LDAP server on loopback, over TLS like a real one.
func directoryCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "directory", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDirectory(cmd.Context(), dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder that receives the certificate and the address")
	return cmd
}

// runDirectory serves until ctx ends. The address goes to the folder by one rename, so that nobody reads half of it.
func runDirectory(ctx context.Context, dir string) (err error) {
	server, err := ldaptest.StartIn(dir, ldaptest.Demo())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	text, err := json.Marshal(describe(server.Config()))
	if err != nil {
		return fmt.Errorf("describe the directory: %w", err)
	}
	path := filepath.Join(dir, directoryFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("describe the directory: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("describe the directory: %w", err)
	}
	<-ctx.Done()
	return nil
}

// describe writes a directory the way the configuration file does.
func describe(l ldap.Config) LDAP {
	c := LDAP{
		URLs: l.URLs, StartTLS: l.StartTLS, CAFile: l.CAFile, BindDN: l.BindDN,
		BindPasswordFile: l.BindPasswordFile, BaseDN: l.BaseDN, Filter: l.Filter,
	}
	c.Attributes.Login, c.Attributes.Name = l.Attributes.Login, l.Attributes.Name
	c.Attributes.Mail, c.Attributes.Key = l.Attributes.Mail, l.Attributes.Key
	if l.Timeout > 0 {
		c.Timeout = l.Timeout.String()
	}
	for _, r := range l.Groups {
		c.Groups = append(c.Groups, Group{Base: r.Base, Filter: r.Filter, Attr: r.Attr, Role: string(r.Role), Admin: r.Admin})
	}
	return c
}

// readDirectory takes up what runDirectory wrote.
func readDirectory(dir string) (LDAP, error) {
	var c LDAP
	text, err := os.ReadFile(filepath.Join(dir, directoryFile))
	if err != nil {
		return c, fmt.Errorf("find the directory: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("find the directory: %w", err)
	}
	return c, nil
}
