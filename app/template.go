package app

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/worker"
)

// Preview is the pull request that a template makes.
type Preview struct {
	Template string        `json:"template"` // its file; "" is the default
	Title    string        `json:"title"`
	Body     string        `json:"body"`  // Markdown
	Items    []PreviewItem `json:"items"` // that a person has to tick
}

// PreviewItem is an item for a person. A tick belongs to the id, which is another one
// when the text is.
type PreviewItem struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// PreviewOptions say which pull request.
type PreviewOptions struct {
	Env string
	App string // "" is the first of the environment
	Tag string // of the version that is promoted; "" is one that nobody has
	Now time.Time
}

// PreviewTemplate fills an environment's pull request template in, as a server would
// for a pull request that nobody has looked at. The app, its version, the edit and the
// gates are those of the checkout; what only a server knows is made up.
func PreviewTemplate(dir string, o PreviewOptions) (Preview, error) {
	root, err := openCheckout(dir)
	if err != nil {
		return Preview{}, err
	}
	defer root.Close()
	return previewTemplate(root.FS(), o)
}

func previewTemplate(tree fs.FS, o PreviewOptions) (p Preview, err error) {
	config, pairs, err := envrepo.Load(tree)
	if err != nil {
		return p, err
	}
	env, ok := config.Environment(o.Env)
	if !ok {
		var names []string
		for _, e := range config.Environments {
			names = append(names, e.Name)
		}
		return p, fault.Errorf(fault.NotFound, "%s names no environment %q; it names %s.", envrepo.File, o.Env, strings.Join(names, ", "))
	}
	pull, err := previewPull(tree, pairs, env, o)
	if err != nil {
		return p, err
	}
	file := checklist.TemplateFile(env.Name)
	tmpl, err := readFile(tree, file)
	switch {
	case err == nil:
		p.Template = file
	case !fault.Is(err, fault.NotFound):
		return p, err
	}
	items, err := checklist.HumanItems(string(tmpl), pull)
	if err == nil {
		pull.Gates = previewGates(env, items, pull, o.Now)
		p.Body, err = checklist.RenderBody(string(tmpl), pull)
	}
	if err != nil {
		return p, fault.E(fault.Invalid, file+": "+cmp.Or(fault.HintOf(err), err.Error()), err)
	}
	p.Title, p.Items = checklist.Title(pull), []PreviewItem{}
	for _, i := range items {
		p.Items = append(p.Items, PreviewItem{ID: i.ID, Text: i.Text})
	}
	return p, nil
}

// previewPull is a promotion of the app, as far as the checkout knows one.
func previewPull(tree fs.FS, pairs []envrepo.Pair, env envrepo.Environment, o PreviewOptions) (checklist.Pull, error) {
	pull := samplePull(env.Name)
	i := slices.IndexFunc(pairs, func(p envrepo.Pair) bool { return p.Env == env.Name && (o.App == "" || p.App == o.App) })
	switch {
	case i < 0 && o.App == "":
		return pull, nil // its overlays may live on another branch
	case i < 0:
		return pull, fault.Errorf(fault.NotFound, "There is no overlay of %s for %s in the checkout that carries a version.", o.App, env.Name)
	}
	pair := pairs[i]
	if pair.Err != nil {
		return pull, pair.Err
	}
	data, err := readFile(tree, pair.File)
	if err != nil {
		return pull, err
	}
	name := pair.Moves()[0]
	ref := image.Ref{Name: name, Tag: cmp.Or(o.Tag, sampleTag), Digest: sampleDigest}
	edit, err := overlay.SetImage(pair.File, data, ref, overlay.WithPin(overlay.Pin(env.Pin)))
	if err != nil {
		return pull, located(tree, pair.File, err)
	}
	pull.App, pull.Image, pull.Old, pull.New = pair.App, name, edit.Old, ref
	pull.Diff = overlay.UnifiedDiff(edit)
	return pull, nil
}

// previewGates are the environment's gates before anybody has looked.
func previewGates(env envrepo.Environment, items []checklist.Item, pull checklist.Pull, now time.Time) (gates []checklist.Gate) {
	f := promotion.Facts{
		App: pull.App, Env: env.Name, State: promotion.Open, Artifact: pull.New, ChecksKnown: true, Required: env.Checks,
		Rule: worker.RuleOf(env),
	}
	for _, i := range items {
		f.Checklist = append(f.Checklist, promotion.ChecklistItem{ID: i.ID, Text: i.Text})
	}
	for _, g := range promotion.Evaluate(f, now) {
		gates = append(gates, worker.GateOf(g, time.Time{}))
	}
	return gates
}
