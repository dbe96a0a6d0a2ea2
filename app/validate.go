package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/render"
)

// Summary is what Validate looked at.
type Summary struct {
	Environments, Overlays, Templates int
	Warnings                          []string // what works, but hardly as meant
}

// String counts what was looked at, for a person.
func (s Summary) String() string {
	return counted(s.Environments, "environment") + ", " + counted(s.Overlays, "overlay") + ", " + counted(s.Templates, "pull request template")
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Validate does to a checkout of an env repo what a server would do to it, and
// returns everything that would go wrong: it reads tagboat.yaml, plans an edit of
// every image, renders every overlay for every cluster, and fills in every pull
// request template. Overlays of an environment that lives on another branch are
// looked at as far as this checkout has them.
func Validate(ctx context.Context, tree fs.FS) (Summary, []error) {
	config, pairs, err := envrepo.Load(tree)
	if err != nil {
		return Summary{}, []error{err}
	}
	v := validation{ctx: ctx, tree: tree, config: config}
	v.summary = Summary{Environments: len(config.Environments), Overlays: len(pairs)}
	for _, a := range config.Apps {
		v.finds(a)
	}
	for _, p := range pairs {
		v.pair(p)
	}
	for _, e := range config.Environments {
		v.template(e)
	}
	return v.summary, v.problems
}

// validation is one run of Validate.
type validation struct {
	ctx      context.Context
	tree     fs.FS
	config   *envrepo.Config
	summary  Summary
	problems []error
	rendered []string // directories
}

func (v *validation) report(err error) {
	if err != nil {
		v.problems = append(v.problems, err)
	}
}

// finds warns of a pattern that matches nothing: often a slip of the pen.
func (v *validation) finds(a envrepo.App) {
	if a.Discover == "" {
		return
	}
	only := *v.config
	only.Apps = []envrepo.App{a}
	found, err := envrepo.Discover(v.tree, &only)
	if err == nil && len(found) == 0 {
		v.summary.Warnings = append(v.summary.Warnings,
			fmt.Sprintf("the pattern %s matches no kustomization with images: of an environment in %s", a.Discover, envrepo.File))
	}
}

// sample is a version that no overlay has yet.
func sample(name string) image.Ref {
	return image.Ref{Name: name, Tag: "0.0.0-validate", Digest: "sha256:" + strings.Repeat("0", 64)}
}

// pair plans an edit of each image and renders what each cluster would get.
func (v *validation) pair(p envrepo.Pair) {
	if p.Err != nil {
		v.report(p.Err)
		return
	}
	env, _ := v.config.Environment(p.Env)
	data, err := fs.ReadFile(v.tree, p.File)
	if err != nil {
		v.report(err)
		return
	}
	for _, name := range p.Images {
		_, err := overlay.SetImage(p.File, data, sample(name), overlay.WithPin(overlay.Pin(env.Pin)))
		v.report(err)
	}
	for _, cluster := range env.Clusters {
		dir := v.config.OverlayFor(p, cluster)
		if !slices.Contains(v.rendered, dir) {
			v.rendered = append(v.rendered, dir)
			_, err := render.Build(v.ctx, v.tree, dir)
			v.report(err)
		}
	}
}

// template fills in the pull request template of an environment, if it has one.
func (v *validation) template(env envrepo.Environment) {
	file := checklist.TemplateFile(env.Name)
	data, err := fs.ReadFile(v.tree, file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		v.summary.Templates++
		_, err = checklist.HumanItems(string(data), samplePull(env.Name))
	}
	if err != nil {
		hint := fault.HintOf(err)
		if hint == "" {
			hint = err.Error()
		}
		v.report(fault.E(fault.Invalid, file+": "+hint, err))
	}
}

// samplePull has something in every field, so that no branch of a template is
// left out.
func samplePull(env string) checklist.Pull {
	name := "registry.example.com/app"
	old := sample(name)
	old.Tag = "0.0.0"
	return checklist.Pull{
		App: "app", Env: env, Image: name, Old: old, New: sample(name),
		SourceRepo: "owner/app", SourceCommit: strings.Repeat("0", 40), RunURL: "https://ci.example.com/runs/1",
		RequestedBy: "somebody", Reason: "somebody asked for it.", Platforms: []string{"linux/amd64", "linux/arm64"},
		MediaType: "application/vnd.oci.image.index.v1+json", Diff: "- newTag: 0.0.0\n+ newTag: 0.0.0-validate\n",
		Gates: []checklist.Gate{{Name: "digest", Title: "Digest", Verdict: checklist.Pass, Reason: "As verified."}},
	}
}
