package main

import (
	"context"

	"github.com/tagboat/tagboat/app"
)

type renderCommand struct {
	Dir    string   `default:"." help:"Root of the checkout; the current directory." type:"existingdir"`
	Path   string   `required:"" help:"Directory of the overlay, below the root." placeholder:"OVERLAY"`
	Remote []string `sep:"none" help:"Remote bases and charts that may be fetched, by the beginning of their address. Repeatable." placeholder:"PREFIX"`
	Output string   `enum:"yaml,json" default:"yaml" help:"yaml, or json: one List of all objects."`
}

// Help is the command's documentation.
func (renderCommand) Help() string {
	return `Prints what kustomize build prints for the overlay, with these differences: nothing outside of --dir is read, no
program is run, an overlay that renders to nothing is an error, and nothing is fetched but what --remote allows and
the overlay pins: a git base by a full commit id (?ref=<40 hex digits>), an OCI chart by its digest. An app of
tagboat.yaml that is rendered from a chart is named by its path, or by the file that carries its version.

Examples:
  tagboat render --path apps/payments/overlays/prod | kubectl diff -f -
  tagboat render --path apps/payments/overlays/prod --output json | jq -r '.items[].kind'
  tagboat render --path apps/payments/overlays/prod --remote https://github.com/acme/`
}

// Run prints the rendered manifests.
func (c renderCommand) Run(ctx context.Context, s streams) error {
	manifests, err := app.Render(ctx, c.Dir, c.Path, c.Remote)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		if manifests, err = app.JSONList(manifests); err != nil {
			return err
		}
		manifests = append(manifests, '\n')
	}
	_, err = s.out.Write(manifests)
	return err
}
