package main

import (
	"fmt"

	"github.com/tagboat/tagboat/app"
)

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
	if c.Write { // else they stand as comments in what is printed
		for _, note := range proposal.Notes {
			fmt.Fprintln(s.err, "note:", note)
		}
		_, err = fmt.Fprintln(s.out, "tagboat.yaml is written; tagboat validate checks it.")
		return err
	}
	_, err = s.out.Write(proposal.YAML)
	return err
}
