package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/internal/policy"
)

type checkCommand struct {
	Dir      string   `default:"." help:"Root of the checkout; the current directory." type:"existingdir"`
	From     string   `help:"Compare with this revision: what is gone counts too, and the rules are that revision's." placeholder:"REV"`
	App      string   `help:"Only this app." placeholder:"APP"`
	Env      string   `help:"Only this environment." placeholder:"ENV"`
	Policies string   `env:"TAGBOAT_POLICIES" help:"The organisation's policies, as the server has them." placeholder:"FILE"`
	Remote   []string `sep:"none" help:"Remote bases and charts that may be fetched, by the beginning of their address. Repeatable." placeholder:"PREFIX"`
	Format   string   `enum:"text,json,sarif,github" default:"text" help:"text, json, sarif (for code scanning) or github (annotations of a workflow)."`
}

// Help is the command's documentation.
func (checkCommand) Help() string {
	return `Renders every overlay of a checkout for every cluster and judges what a cluster would get: by the built-in rules, by
the ValidatingAdmissionPolicies of the directory that tagboat.yaml names, and by the organisation's policies. Each rule is
off, warns or is enforced; docs/configuration.md says how. A finding is at the line that causes it where that can be
known, else at the overlay's file.

Built-in rules:
` + policy.Help() + `
Exit codes: 0 nothing that is enforced is violated (there may be warnings), 1 something is, or an overlay could not be
judged, 2 usage.

Examples:
  tagboat check
  tagboat check --from origin/main --format github
  tagboat check --env prod --format sarif > tagboat.sarif`
}

// Run judges and prints.
func (c checkCommand) Run(ctx context.Context, s streams) error {
	checked, err := app.Check(ctx, c.Dir, app.CheckOptions{
		From: c.From, App: c.App, Env: c.Env, Organisation: c.Policies, Remotes: c.Remote, Now: time.Now(),
	})
	if err != nil {
		return err
	}
	if err := c.print(s, checked); err != nil {
		return err
	}
	if !checked.Passes() {
		return exitCode(failed)
	}
	return nil
}

func (c checkCommand) print(s streams, checked app.Checked) error {
	base := fromHere(c.Dir)
	switch c.Format {
	case "json":
		return printJSON(s.out, struct {
			Passes bool `json:"passes"`
			app.Checked
		}{checked.Passes(), checked})
	case "sarif":
		text, err := policy.SARIF(checked.Findings, checked.Failures(), base)
		if err == nil {
			_, err = s.out.Write(append(text, '\n'))
		}
		return err
	case "github":
		warn(s.err, checked.Warnings)
		_, err := fmt.Fprint(s.out, policy.Workflow(checked.Findings, base), checked.FailureCommands(base))
		return err
	}
	warn(s.err, checked.Warnings)
	for _, failure := range checked.Failures() {
		fmt.Fprintln(s.err, "tagboat:", failure)
	}
	_, err := fmt.Fprintf(s.out, "%s%s.\n", policy.Text(checked.Findings), checked)
	return err
}

// fromHere is a directory as it is called from the current one, which is where a
// workflow has its repository; "" where it is not below.
func fromHere(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return ""
	}
	relative, err := filepath.Rel(here, dir)
	if err != nil || !filepath.IsLocal(relative) {
		return ""
	}
	return filepath.ToSlash(relative)
}
