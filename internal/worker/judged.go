package worker

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/policy"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/render"
)

// judging asks the rules about overlays of one app in one environment. The rules are
// those of the base branch and of the organisation, never the pull request's (I10).
type judging struct {
	app, env   string
	file       string      // where what is found nowhere else is told
	namespaces render.Tree // what says where objects go
	now        time.Time
	rules      policy.Rules
	files      *policy.Files
	findings   policy.Findings
}

func (l *look) judging(after render.Tree) *judging {
	return &judging{
		app: l.row.App, env: l.row.Env, file: l.pair.File, namespaces: l.base.tree, now: l.w.Now(),
		rules: policy.Rules{Team: l.base.rules, Organisation: l.w.Policies}, files: policy.NewFiles(after),
	}
}

// judge asks about one overlay, with the edit and without it.
func (j *judging) judge(source render.Source, cluster string, is render.Output, was []byte) error {
	violations, err := j.violations(source, cluster, is.Manifests, was)
	if err == nil {
		j.keep(source, is, violations)
	}
	return err
}

func (j *judging) violations(source render.Source, cluster string, is, was []byte) ([]policy.Violation, error) {
	in := policy.Input{App: j.app, Env: j.env, Cluster: cluster, Namespace: render.Namespace(j.namespaces, source), Secrets: Secrets}
	var err error
	if in.Head, err = policy.Parse(is); err != nil {
		return nil, err
	}
	if in.Base, err = policy.Parse(was); err != nil {
		return nil, err
	}
	return policy.Evaluate(j.rules, in, j.now), nil
}

// keep finds the lines that violations stand in, and takes them up.
func (j *judging) keep(source render.Source, is render.Output, violations []policy.Violation) {
	var reads []string
	at := j.file
	for _, r := range is.Reads {
		if r.Kind == render.Content {
			reads = append(reads, r.Path)
			if path.Dir(r.Path) == source.Dir && strings.HasPrefix(strings.ToLower(path.Base(r.Path)), "kustomization") {
				at = r.Path
			}
		}
	}
	locator := j.files.Locator(at, reads)
	for i, v := range violations {
		violations[i].Place = locator.Locate(v)
	}
	j.findings.Add(policy.Overlay{Path: source.Dir, App: j.app, Env: j.env}, violations)
}

// maxFound is how many findings a gate tells; all are annotations.
const maxFound = 5

// result is what the gate and the annotations say.
func (j *judging) result() (promotion.Policy, []checklist.Annotation) {
	found := j.findings.List()
	slices.SortStableFunc(found, func(a, b policy.Finding) int { return weight(a) - weight(b) }) // what blocks is told first
	var p promotion.Policy
	var waived int
	p.Blocking, p.Warnings, waived = policy.Count(found)
	var told []string
	var remarks []checklist.Annotation
	for _, f := range found {
		if f.Waived != nil {
			continue
		}
		if len(told) < maxFound {
			told = append(told, fmt.Sprintf("%s (%s): %s.", f.Rule, f.Place, strings.TrimSuffix(f.Message, ".")))
		}
		if f.Place.File != "" {
			remarks = append(remarks, checklist.Annotation{Path: f.Place.File, Line: f.Place.Line, Blocks: f.Blocks(), Title: f.Rule, Message: f.Message})
		}
	}
	if rest := p.Blocking + p.Warnings - len(told); rest > 0 {
		told = append(told, fmt.Sprintf("And %d more.", rest))
	}
	if waived > 0 {
		told = append(told, fmt.Sprintf("%d waived.", waived))
	}
	p.Reason = fmt.Sprintf("%d enforced, %d warnings. %s", p.Blocking, p.Warnings, strings.Join(told, " "))
	return p, remarks
}

func weight(f policy.Finding) int {
	switch {
	case f.Blocks():
		return 0
	case f.Waived == nil:
		return 1
	}
	return 2
}
