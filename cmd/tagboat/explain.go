package main

import (
	"context"
	"fmt"
)

type explainCommand struct {
	database
	Env    string `required:"" help:"Environment." placeholder:"ENV"`
	App    string `required:"" help:"App." placeholder:"APP"`
	Repo   string `help:"Env repo, where several have the two." placeholder:"OWNER/NAME"`
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// Help is the command's documentation.
func (explainCommand) Help() string {
	return `Says what blocks the promotion of an app in an environment: each gate that does not pass, why, since when, who can unblock
it and when it is looked at next. It is the list of the check run, as of the last look. Where nothing is on its way, it says
what the environment has, what became of the last promotion, and what is in the way of a next one. It reads only.

What tagboat.yaml asks for is not in the database: the comment /explain prod payments in the env repo says that, too.

Exit codes: 0 answered, 1 error, 2 usage, 3 no env repo has this app in this environment.

Examples:
  tagboat explain --env prod --app payments
  tagboat explain --env prod --app payments --output json | jq '.[].blockers[] | {title, since, who, next}'`
}

// Run explains.
func (c explainCommand) Run(ctx context.Context, s streams) error {
	e, err := c.explain(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	answers, err := e.Explain(ctx, c.Repo, c.App, c.Env)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		err = printJSON(s.out, answers)
	} else {
		for i, a := range answers {
			if i > 0 {
				fmt.Fprintln(s.out)
			}
			if _, err = fmt.Fprint(s.out, a.Text()); err != nil {
				return err
			}
		}
		if len(answers) == 0 {
			_, err = fmt.Fprintf(s.out, "No env repo that Tagboat looks after has %s in %s.\n", c.App, c.Env)
		}
	}
	if err == nil && len(answers) == 0 {
		return exitCode(otherwise)
	}
	return err
}
