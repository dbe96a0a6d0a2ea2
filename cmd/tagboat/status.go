package main

import (
	"context"
	"fmt"

	"github.com/tagboat/tagboat/app"
)

type statusCommand struct {
	database
	Repo      string `help:"Env repo." placeholder:"OWNER/NAME"`
	Env       string `help:"Environment." placeholder:"ENV"`
	App       string `help:"App." placeholder:"APP"`
	Unhealthy bool   `help:"Only what is not healthy, or does not have what is in Git; exit code 3 if there is any."`
	Output    string `enum:"text,json" default:"text" help:"text or json."`
}

// Help is the command's documentation.
func (statusCommand) Help() string {
	return `Says what each app has in each cluster of each environment, as of the last look: version, state, since when it is healthy
with that, the commit of the env repo, and below it what is wrong, going on, waited for, or kept in the cluster though not in
Git. It reads only.

Exit codes: 0 answered, also where something is ill, 1 error, 2 usage, 3 nothing has such a name; with --unhealthy:
0 all is well, 3 something is not.

Examples:
  tagboat status
  tagboat status --env prod --output json | jq '.[] | {app, cluster, tag, state}'
  tagboat status --env prod --unhealthy || notify`
}

// Run tells.
func (c statusCommand) Run(ctx context.Context, s streams) error {
	e, err := c.explain(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	targets, err := e.Status(ctx, app.StatusFilter{Repo: c.Repo, App: c.App, Env: c.Env})
	if err != nil {
		return err
	}
	known := len(targets) > 0
	if c.Unhealthy {
		targets = app.Unwell(targets)
	}
	switch {
	case c.Output == "json":
		err = printJSON(s.out, targets)
	case !known:
		_, err = fmt.Fprintln(s.out, "No env repo that Tagboat looks after has that.")
	case len(targets) == 0:
		_, err = fmt.Fprintln(s.out, "All of it is healthy, and has what is in Git.")
	default:
		_, err = fmt.Fprint(s.out, app.StatusText(targets))
	}
	if err == nil && (!known || c.Unhealthy && len(targets) > 0) {
		return exitCode(otherwise)
	}
	return err
}
