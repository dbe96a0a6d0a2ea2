package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/policy"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/worker"
)

// Summary is what Validate looked at.
type Summary struct {
	Environments int      `json:"environments"`
	Overlays     int      `json:"overlays"`
	Templates    int      `json:"templates"`
	Warnings     []string `json:"warnings,omitempty"` // what works, but hardly as meant
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
// returns everything that would go wrong: it reads tagboat.yaml and its keys, compiles its policies,
// plans an edit of every image and chart, renders every overlay for every cluster, and
// fills in every pull request template. Overlays of an environment that lives on another
// branch are looked at as far as this checkout has them. Remotes are as in Render.
func Validate(ctx context.Context, dir string, allowed []string) (Summary, []error) {
	root, err := openCheckout(dir)
	if err != nil {
		return Summary{}, []error{err}
	}
	defer root.Close()
	r, err := newRenderer(allowed)
	if err != nil {
		return Summary{}, []error{err}
	}
	summary, problems := validate(ctx, root.FS(), r.pool)
	if err := r.Close(); err != nil {
		problems = append(problems, err)
	}
	return summary, problems
}

// validate is Validate for any tree.
func validate(ctx context.Context, tree fs.FS, pool *render.Pool) (Summary, []error) {
	config, pairs, err := envrepo.Load(tree)
	if err != nil {
		return Summary{}, []error{err}
	}
	envrepo.RefuseSeveral(pairs)
	v := validation{ctx: ctx, tree: tree, config: config}
	v.summary = Summary{Environments: len(config.Environments), Overlays: len(pairs)}
	v.policies()
	v.keys()
	for _, a := range config.Apps {
		v.finds(a)
	}
	v.populated(pairs)
	for _, p := range pairs {
		v.pair(p)
	}
	v.renders(pool)
	v.owners(pairs)
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

	workloads []workload // what clusters get, each once
}

// workload is something to render, and the file or directory that says what.
type workload struct {
	source  render.Source
	at      string
	cluster string // the first that gets it
}

func (v *validation) report(err error) {
	if err != nil {
		v.problems = append(v.problems, err)
	}
}

// policies reads and compiles the policies.
func (v *validation) policies() {
	for _, p := range policy.Read(v.tree, worker.PolicySettings(v.config)).Problems() {
		text := fmt.Sprintf("%s: policy %s: %s", p.Place, p.Rule, p.Message)
		if p.Blocks() {
			v.report(fault.Errorf(fault.Invalid, "%s", text))
		} else {
			v.summary.Warnings = append(v.summary.Warnings, text)
		}
	}
}

// keys reads the public keys of those who have to sign.
func (v *validation) keys() {
	read := map[string]bool{"": true} // an identity has no key
	for _, e := range v.config.Environments {
		for _, s := range e.Signatures {
			if !read[s.Cosign.Key] {
				read[s.Cosign.Key] = true
				_, err := worker.PublicKey(v.tree, s.Cosign.Key)
				v.report(err)
			}
		}
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
	if err != nil || len(found) > 0 {
		return
	}
	what := "kustomization with images:"
	if isYAML(a.Discover) {
		what = "file that carries a version"
	}
	v.summary.Warnings = append(v.summary.Warnings,
		fmt.Sprintf("the pattern %s matches no %s of an environment in %s", a.Discover, what, envrepo.File))
}

// populated warns of environments that nothing is in. Those that live on a branch
// of their own may have everything there.
func (v *validation) populated(pairs []envrepo.Pair) {
	for _, e := range v.config.Environments {
		if e.Branch == "" && !slices.ContainsFunc(pairs, func(p envrepo.Pair) bool { return p.Env == e.Name }) {
			v.summary.Warnings = append(v.summary.Warnings,
				fmt.Sprintf("no app is in the environment %s: nothing that %s looks for carries a version for it", e.Name, envrepo.File))
		}
	}
}

// sampleTag is a version that no overlay has yet, sampleDigest a digest.
const sampleTag = "0.0.0-validate"

var sampleDigest = "sha256:" + strings.Repeat("0", 64)

func sample(name string) image.Ref {
	return image.Ref{Name: name, Tag: sampleTag, Digest: sampleDigest}
}

// pair plans an edit of each image and chart, and notes what each cluster would
// get.
func (v *validation) pair(p envrepo.Pair) {
	if p.Err != nil {
		v.report(located(v.tree, p.Path, p.Err))
		return
	}
	env, _ := v.config.Environment(p.Env)
	data, err := readFile(v.tree, p.File)
	if err != nil {
		v.report(err)
		return
	}
	options := overlay.BumpOptions{Pin: overlay.Pin(env.Pin), Refs: env.Refs}
	var changes []overlay.Change
	for _, name := range p.Images {
		changes = append(changes, overlay.Change{Kind: overlay.KindImage, Name: name, Version: sampleTag, Digest: sampleDigest})
	}
	for _, name := range p.Charts {
		changes = append(changes, overlay.Change{Kind: overlay.KindChart, Name: name, Version: sampleTag, Digest: sampleDigest})
	}
	for _, c := range changes {
		_, err := overlay.Bump(map[string][]byte{p.File: data}, []overlay.Change{c}, options)
		v.report(located(v.tree, p.File, err))
	}
	for _, cluster := range env.Clusters {
		source := sourceOf(v.config, p, cluster)
		if !slices.ContainsFunc(v.workloads, func(w workload) bool { return sameSource(w.source, source) }) {
			v.workloads = append(v.workloads, workload{source, placeOf(source, p), cluster})
		}
	}
}

// owners warns of environments that ask code owners whom nobody could name: their
// pull requests would wait. Whose organisation it is cannot be known here.
func (v *validation) owners(pairs []envrepo.Pair) {
	for _, p := range pairs {
		env, _ := v.config.Environment(p.Env)
		if p.Err != nil || !slices.ContainsFunc(env.Approvals, func(r envrepo.ApprovalRule) bool { return r.CodeOwners }) {
			continue
		}
		rule, err := approval.Rule{CodeOwners: true}.OwnedIn(v.tree, "", p.File)
		v.report(err)
		if text := fmt.Sprintf("%s waits for ever: it asks code owners, but %s", p.Env, rule.Problem); rule.Problem != "" && !slices.Contains(v.summary.Warnings, text) {
			v.summary.Warnings = append(v.summary.Warnings, text)
		}
	}
}

// renders renders everything, and reports what does not, in order.
func (v *validation) renders(pool *render.Pool) {
	errs := make([]error, len(v.workloads))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, w := range v.workloads {
		g.Go(func() error {
			_, errs[i] = pool.Build(v.ctx, v.tree, w.source)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	if err := v.ctx.Err(); err != nil {
		v.report(fault.E(fault.Transient, "Interrupted before every overlay was rendered.", err))
		return
	}
	for i, err := range errs {
		w := v.workloads[i]
		if line := v.promised(w); line > 0 && err != nil {
			err = fault.Errorf(fault.KindOf(err), "%s:%d: %s", envrepo.File, line, oneLine(err))
		}
		v.report(located(v.tree, w.at, err))
	}
}

// promised is the line of tagboat.yaml that promises a cluster a kustomization
// that is not there; 0 where there is one, or nothing promises it.
func (v *validation) promised(w workload) int {
	file, err := kustomizationIn(v.tree, w.source.Dir)
	if file != "" || err != nil || w.at != w.source.Dir {
		return 0
	}
	data, err := readFile(v.tree, envrepo.File)
	if err != nil {
		return 0
	}
	for _, c := range v.config.Clusters {
		if c.Name == w.cluster && c.Path != "" {
			return quotedLine(data, strconv.Quote(c.Path))
		}
	}
	return 0
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
		Rendered: "**1 object changes.**\n",
		Between: &checklist.Between{Repo: "owner/app", Ahead: 2, URL: "https://github.com/owner/app/compare/v1...v2", Newest: []checklist.Commit{
			{SHA: strings.Repeat("0", 40), Title: "The newest change", Author: "somebody", URL: "https://github.com/owner/app/commit/0"},
			{SHA: strings.Repeat("1", 40), Title: "A change", Author: "somebody", URL: "https://github.com/owner/app/commit/1"},
		}},
		Upstream: []checklist.Upstream{{Env: "upstream", Tag: sampleTag, Digest: sampleDigest, Wanted: true, Healthy: true, Since: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)}},
		Carries:  []checklist.Carried{{Cluster: "cluster", Commit: strings.Repeat("0", 40), Objects: []string{"ConfigMap app/settings changed"}}},
		Gates:    []checklist.Gate{{Name: "digest", Title: "Digest", Verdict: checklist.Pass, Reason: "As verified."}},
	}
}
