package main

import (
	"context"
	"fmt"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/internal/fault"
)

type validateCommand struct {
	Dir    string   `default:"." help:"Root of the checkout; the current directory." type:"existingdir"`
	Remote []string `sep:"none" help:"Remote bases and charts that may be fetched, by the beginning of their address. Repeatable." placeholder:"PREFIX"`
	Output string   `enum:"text,json" default:"text" help:"text or json."`
}

// Help is the command's documentation.
func (validateCommand) Help() string {
	return `Does what a server would do, without any: reads tagboat.yaml, plans an edit of every image and chart, renders every
overlay for every cluster, fills in every pull request template. Prints everything that is wrong, with file and line.

Exit codes: 0 valid, 1 not valid, 2 usage. A warning is no error.

Examples:
  tagboat validate
  tagboat validate --output json | jq -r '.problems[] | "\(.file):\(.line): \(.message)"'
  tagboat validate --remote https://github.com/acme/`
}

// Run prints every problem, with its file and line where it has them.
func (c validateCommand) Run(ctx context.Context, s streams) error {
	summary, problems := app.Validate(ctx, c.Dir, c.Remote)
	if c.Output == "json" {
		return c.json(s, summary, problems)
	}
	warn(s.err, summary.Warnings)
	if len(problems) == 0 {
		_, err := fmt.Fprintf(s.out, "tagboat.yaml is valid: %s.\n", summary)
		return err
	}
	text := "the checkout is not valid:"
	for _, p := range problems {
		text += "\n" + words(p)
	}
	return fault.Errorf(fault.Invalid, "%s", text)
}

func (c validateCommand) json(s streams, summary app.Summary, errs []error) error {
	report := struct {
		Valid bool `json:"valid"`
		app.Summary
		Problems []app.Problem `json:"problems"`
	}{len(errs) == 0, summary, app.Problems(errs)}
	if err := printJSON(s.out, report); err != nil {
		return err
	}
	if !report.Valid {
		return exitCode(failed)
	}
	return nil
}
