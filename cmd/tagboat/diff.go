package main

import (
	"context"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/manifest"
)

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
