package app

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/policy"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/worker"
)

// CheckOptions says what is judged, and by what.
type CheckOptions struct {
	From         string    // a revision to compare with; "" judges the work tree alone
	App, Env     string    // only these; "" is all
	Organisation string    // a file of policies that a server would have, or ""
	Remotes      []string  // as in Render
	Now          time.Time // waivers end
}

// Checked is what came of a check.
type Checked struct {
	Findings []policy.Finding `json:"findings"`
	Overlays int              `json:"overlays"`
	Problems []Problem        `json:"problems"` // what could not be judged
	Warnings []string         `json:"warnings,omitempty"`
}

// Passes reports whether nothing that is enforced is violated, and everything was
// judged.
func (c Checked) Passes() bool {
	enforced, _, _ := policy.Count(c.Findings)
	return enforced == 0 && len(c.Problems) == 0
}

// Check renders every overlay of a checkout, as a sync would, and judges it by the
// policies of tagboat.yaml and of the organisation. With a revision to compare with, it
// also knows what is gone, and the rules are those of that revision: a change is not
// judged by rules that it brings along. What cannot be judged is in the result; an
// error of Check itself means that nothing is known.
func Check(ctx context.Context, dir string, o CheckOptions) (_ Checked, err error) {
	root, err := openCheckout(dir)
	if err != nil {
		return Checked{}, err
	}
	defer root.Close()
	c := check{ctx: ctx, options: o, head: root.FS()}
	if o.From != "" {
		repository, err := gitmirror.OpenLocal(dir)
		if err != nil {
			return Checked{}, err
		}
		if c.base, err = repository.At(o.From); err != nil {
			return Checked{}, err
		}
	}
	r, err := newRenderer(o.Remotes)
	if err != nil {
		return Checked{}, err
	}
	defer func() {
		if closeErr := r.Close(); err == nil {
			err = closeErr
		}
	}()
	c.pool = r.pool
	return c.run()
}

// check is one run of Check.
type check struct {
	ctx        context.Context
	options    CheckOptions
	pool       *render.Pool
	head, base fs.FS // base is nil where nothing is compared
	rules      policy.Rules
	result     Checked
}

func (c *check) run() (Checked, error) {
	if err := c.readRules(); err != nil {
		return Checked{}, err
	}
	c.result.Warnings = c.rules.Idle(c.options.Now)
	subjects, err := c.subjects()
	if err != nil {
		return Checked{}, err
	}
	c.renders(subjects)
	if err := c.ctx.Err(); err != nil {
		return Checked{}, fault.E(fault.Transient, "Interrupted before everything was judged.", err)
	}
	files, findings := policy.NewFiles(c.head), policy.Findings{}
	for _, s := range subjects {
		c.judge(s, files, &findings)
	}
	c.result.Findings, c.result.Overlays = findings.List(), len(subjects)
	if c.result.Problems == nil {
		c.result.Problems = []Problem{}
	}
	return c.result, nil
}

// readRules reads the rules from where they are in force.
func (c *check) readRules() (err error) {
	tree := c.head
	if c.base != nil {
		tree = c.base
	}
	config, err := configOf(tree)
	if err != nil {
		return err
	}
	if config != nil {
		c.rules.Team = policy.Read(tree, worker.PolicySettings(config))
	}
	c.rules.Organisation, err = organisation(c.options.Organisation)
	return err
}

// subject is one overlay, and what became of it.
type subject struct {
	policy.Overlay
	head, base           *render.Source // nil where it is not there
	after, before        render.Output
	headError, baseError error
	invalid              error // why nobody knows what to render
}

// subjects lists what is judged: the pairs of tagboat.yaml in their clusters; without
// one, every kustomization that no other one refers to.
func (c *check) subjects() ([]*subject, error) {
	config, err := configOf(c.head)
	if err != nil {
		return nil, err
	}
	if config == nil {
		return c.leaves()
	}
	all := map[policy.Overlay]*subject{}
	if err := c.pairs(all, c.head, config, func(s *subject, source *render.Source) { s.head = source }); err != nil {
		return nil, err
	}
	if c.base != nil {
		old, err := configOf(c.base)
		if err != nil {
			return nil, err
		}
		if err := c.pairs(all, c.base, cmp.Or(old, config), func(s *subject, source *render.Source) { s.base = source }); err != nil {
			return nil, err
		}
	}
	var subjects []*subject
	for _, s := range all {
		subjects = append(subjects, s)
	}
	slices.SortFunc(subjects, func(a, b *subject) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Env, b.Env), cmp.Compare(a.App, b.App), cmp.Compare(a.Cluster, b.Cluster))
	})
	if len(subjects) == 0 && (c.options.App != "" || c.options.Env != "") {
		return nil, fault.Errorf(fault.NotFound, "no overlay is of %s; correct --app or --env", strings.TrimSpace("app "+cmp.Or(c.options.App, "(any)")+", environment "+cmp.Or(c.options.Env, "(any)")))
	}
	return subjects, nil
}

// pairs adds the overlays of one side. A cluster is named only where it has an overlay
// of its own.
func (c *check) pairs(all map[policy.Overlay]*subject, tree fs.FS, config *envrepo.Config, put func(*subject, *render.Source)) error {
	pairs, err := envrepo.Discover(tree, config)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if c.options.App != "" && c.options.App != p.App || c.options.Env != "" && c.options.Env != p.Env || fault.Is(p.Err, fault.NotFound) {
			continue
		}
		env, _ := config.Environment(p.Env)
		own := placeOf(sourceOf(config, p, ""), p)
		for _, cluster := range env.Clusters {
			source := sourceOf(config, p, cluster)
			o := policy.Overlay{Path: placeOf(source, p), App: p.App, Env: p.Env}
			if o.Path != own {
				o.Cluster = cluster
			}
			s := all[o]
			if s == nil {
				s = &subject{Overlay: o}
				all[o] = s
			}
			if tree == c.head {
				s.invalid = p.Err
			}
			put(s, &source)
		}
	}
	return nil
}

// leaves are the subjects of a tree without tagboat.yaml.
func (c *check) leaves() ([]*subject, error) {
	if c.options.App != "" || c.options.Env != "" {
		return nil, fault.Errorf(fault.NotFound, "without %s nothing says what an app or an environment is; leave out --app and --env, or add one (tagboat init proposes it)", envrepo.File)
	}
	dirs, err := leavesOf(c.head)
	if err != nil {
		return nil, err
	}
	var subjects []*subject
	for _, dir := range dirs {
		s := &subject{Overlay: policy.Overlay{Path: dir}, head: &render.Source{Dir: dir}}
		if c.base != nil {
			if file, err := kustomizationIn(c.base, dir); err == nil && file != "" {
				s.base = s.head
			}
		}
		subjects = append(subjects, s)
	}
	if len(subjects) == 0 {
		return nil, fault.Errorf(fault.NotFound, "there is nothing to judge: neither %s nor a kustomization", envrepo.File)
	}
	return subjects, nil
}

// renders renders both sides of everything.
func (c *check) renders(subjects []*subject) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, s := range subjects {
		if s.head != nil && s.invalid == nil {
			g.Go(func() error {
				s.after, s.headError = c.pool.Build(c.ctx, c.head, *s.head)
				return nil
			})
		}
		if s.base != nil {
			g.Go(func() error {
				s.before, s.baseError = c.pool.Build(c.ctx, c.base, *s.base)
				return nil
			})
		}
	}
	_ = g.Wait() // the errors are the subjects'
}

// judge evaluates one overlay.
func (c *check) judge(s *subject, files *policy.Files, findings *policy.Findings) {
	in := policy.Input{App: s.App, Env: s.Env, Cluster: s.Cluster, Secrets: worker.Secrets}
	err := cmp.Or(s.invalid, s.headError)
	if err == nil {
		in.Head, err = policy.Parse(s.after.Manifests)
	}
	if err != nil {
		for _, p := range Problems([]error{located(c.head, s.Path, err)}) {
			if !slices.Contains(c.result.Problems, p) { // a base's is that of all its overlays
				c.result.Problems = append(c.result.Problems, p)
			}
		}
		return
	}
	if s.baseError == nil {
		in.Base, s.baseError = policy.Parse(s.before.Manifests)
	}
	if s.baseError != nil {
		c.result.Warnings = append(c.result.Warnings, s.String()+" could not be rendered before the change, so what is gone is not known: "+oneLine(s.baseError))
	}
	at, tree := s.Path, c.head
	if s.head == nil {
		tree = c.base
	} else {
		in.Namespace = render.Namespace(tree, *s.head)
	}
	if file, err := kustomizationIn(tree, s.Path); err == nil && file != "" {
		at = file
	}
	var reads []string
	for _, r := range s.after.Reads {
		if r.Kind == render.Content {
			reads = append(reads, r.Path)
		}
	}
	locator := files.Locator(at, reads)
	violations := policy.Evaluate(c.rules, in, c.options.Now)
	for i, v := range violations {
		violations[i].Place = locator.Locate(v)
	}
	findings.Add(s.Overlay, violations)
}

// organisation reads the organisation's policies; nil where there are none.
func organisation(file string) (*policy.Source, error) {
	if file == "" {
		return nil, nil
	}
	root, err := openCheckout(path.Dir(file))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := path.Base(file)
	data, err := readFile(root.FS(), name)
	if err != nil {
		return nil, err
	}
	o, err := envrepo.ParseOrganisation(name, data)
	if err != nil {
		return nil, err
	}
	return policy.Read(root.FS(), worker.OrganisationSettings(o)), nil
}

// String counts what was found, for a person.
func (c Checked) String() string {
	enforced, warnings, waived := policy.Count(c.Findings)
	text := counted(c.Overlays, "overlay") + " judged: " + counted(enforced, "enforced violation") + ", " + counted(warnings, "warning")
	if waived > 0 {
		text += ", " + counted(waived, "violation") + " waived"
	}
	if len(c.Problems) > 0 {
		text += "; " + counted(len(c.Problems), "problem") + " kept something from being judged"
	}
	return text
}

// Failures are what could not be judged, a line each.
func (c Checked) Failures() []string {
	var lines []string
	for _, p := range c.Problems {
		lines = append(lines, strings.TrimPrefix(policy.Place{File: p.File, Line: p.Line}.String()+": "+p.Message, "-: "))
	}
	return lines
}

// FailureCommands are the same as commands of GitHub Actions.
func (c Checked) FailureCommands(base string) string {
	var failures []policy.Finding
	for _, p := range c.Problems {
		failures = append(failures, policy.Finding{Violation: policy.Violation{
			Rule: "cannot be judged", Mode: policy.Enforce, Message: strings.TrimSuffix(p.Message, "."), Place: policy.Place{File: p.File, Line: p.Line},
		}})
	}
	return policy.Workflow(failures, base)
}
