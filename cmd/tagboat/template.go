package main

import (
	"fmt"
	"time"

	"github.com/tagboat/tagboat/app"
)

type templateCommand struct {
	Dir    string `default:"." help:"Root of the checkout; the current directory." type:"existingdir"`
	Env    string `required:"" help:"Environment, as tagboat.yaml names it." placeholder:"ENV"`
	App    string `help:"App; the first of the environment." placeholder:"APP"`
	Tag    string `help:"Version that is promoted; a made-up one." placeholder:"TAG"`
	Output string `enum:"text,json" default:"text" help:"text: the title, an empty line and the description. json: the items for people, too."`
}

// Help is the command's documentation.
func (templateCommand) Help() string {
	return `Shows the pull request that .tagboat/pull_request_template.ENV.md makes, or the default where there is none: as it
stands when nobody has looked at it. The app, its version, the edit and the gates are the checkout's; what only a
server knows (commits, what runs upstream, what the clusters get) is made up. docs/templates.md lists the fields.

Examples:
  tagboat template --env prod
  tagboat template --env prod --app payments --tag 1.7.0 --output json | jq -r '.items[].text'`
}

// Run prints the preview.
func (c templateCommand) Run(s streams) error {
	p, err := app.PreviewTemplate(c.Dir, app.PreviewOptions{Env: c.Env, App: c.App, Tag: c.Tag, Now: time.Now()})
	if err != nil {
		return err
	}
	if p.Template == "" {
		warn(s.err, []string{"there is no .tagboat/pull_request_template." + c.Env + ".md; this is the default"})
	}
	if c.Output == "json" {
		return printJSON(s.out, p)
	}
	_, err = fmt.Fprintf(s.out, "%s\n\n%s", p.Title, p.Body)
	return err
}
