package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/manifest"
)

// printJSON prints a value for a machine.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func warn(w io.Writer, warnings []string) {
	for _, text := range warnings {
		fmt.Fprintln(w, "warning:", text)
	}
}

type initCommand struct {
	Dir   string `default:"." help:"Root of the checkout; the current directory." type:"existingdir"`
	Write bool   `help:"Write tagboat.yaml, if there is none."`
	Force bool   `help:"With --write: replace the tagboat.yaml that is there."`
}

// Help is the command's documentation.
func (initCommand) Help() string {
	return `Looks for apps, environments and images in a checkout, and prints the tagboat.yaml that describes them. It knows
Kustomize bases with overlays, trees of components, a directory per cluster, Helm values per environment, and plain
manifests. What it was unsure about stands as a comment where it matters. Read it before you commit it: who may
approve what is yours to decide.

Examples:
  tagboat init | less
  tagboat init --dir ../env --write && tagboat validate --dir ../env`
}

// Run prints or writes the proposal.
func (c initCommand) Run(s streams) error {
	proposal, err := app.Init(c.Dir, app.InitOptions{Write: c.Write, Force: c.Force})
	if err != nil {
		return err
	}
	for _, note := range proposal.Notes {
		fmt.Fprintln(s.err, "note:", note)
	}
	if c.Write {
		_, err = fmt.Fprintln(s.out, "tagboat.yaml is written; tagboat validate checks it.")
		return err
	}
	_, err = s.out.Write(proposal.YAML)
	return err
}

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

type diffCommand struct {
	Dir    string   `default:"." help:"A checkout, or a directory in one; the current directory." type:"existingdir"`
	From   string   `default:"HEAD" help:"The revision before: a branch, a tag, a commit, with ~N or ^N."`
	To     string   `help:"The revision after; without it the work tree, as it is on disk." placeholder:"REV"`
	Path   []string `sep:"none" help:"Only overlays at or below it. Repeatable." placeholder:"OVERLAY"`
	Remote []string `sep:"none" help:"Remote bases and charts that may be fetched, by the beginning of their address. Repeatable." placeholder:"PREFIX"`
	Output string   `enum:"text,markdown,json" default:"text" help:"text, markdown (fits into a comment on GitHub) or json."`
}

// Help is the command's documentation.
func (diffCommand) Help() string {
	return `Renders the overlays before and after a change and compares them object by object, field by field. The order of
keys, quotes and comments make no difference; values of Secrets, and what looks like one, are masked. The overlays
are those of tagboat.yaml; without one, all kustomizations that no other one refers to. Without revisions, it is about
what you changed since the last commit.

Exit codes: 0 no difference, 3 there are differences, 1 error (also when a single overlay could not be
compared; the others are shown), 2 usage.

Examples:
  tagboat diff
  tagboat diff --from origin/main --to HEAD --output markdown > comment.md
  tagboat diff --from v1.6.0 --to v1.7.0 --path apps/payments --output json`
}

// maxComment is how many bytes of Markdown are printed. GitHub takes 65,536
// characters; the rest is for what a CI writes around it.
const maxComment = 60_000

// Run prints the rendered diff.
func (c diffCommand) Run(ctx context.Context, s streams) error {
	diffs, err := app.Diff(ctx, c.Dir, app.DiffOptions{From: c.From, To: c.To, Paths: c.Path, Remotes: c.Remote})
	if err != nil {
		return err
	}
	var text []byte
	switch c.Output {
	case "json":
		text, err = manifest.JSON(diffs)
	case "markdown":
		text = []byte(manifest.Markdown(diffs, maxComment))
	default:
		text = []byte(manifest.Text(diffs))
	}
	if err != nil {
		return err
	}
	if _, err := s.out.Write(text); err != nil {
		return err
	}
	summary := manifest.Summarize(diffs)
	switch {
	case summary.Failed > 0:
		return fault.Errorf(fault.Invalid, "%d of %d overlays could not be compared", summary.Failed, len(diffs))
	case summary.Differ > 0:
		return exitCode(otherwise)
	}
	return nil
}
