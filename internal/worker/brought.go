package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/policy"
)

// brought is what somebody's pull request brings that the rules of the base branch do
// not want. What is not as they want it without the pull request either is not its
// doing: else nobody could mend one thing after the other.
func (c *comparison) brought(ctx context.Context, p *place) (found []policy.Finding, err error) {
	is, err := c.w.Render.Output(ctx, renderScope(c.repo), c.is, *p.is)
	if err != nil {
		return nil, err
	}
	var was []byte
	if p.was != nil {
		// Where it cannot be rendered, all there is is new. What passes was told before.
		if was, err = c.w.Render.Build(ctx, renderScope(c.repo), c.was, *p.was); err != nil && !ofCommit(err) {
			return nil, err
		}
	}
	var all policy.Findings
	for _, t := range p.twins {
		app, env := t.called()
		j := judging{
			app: app, env: env, file: cmp.Or(t.is, t.was).File, namespaces: c.is, now: c.w.Now(),
			rules: policy.Rules{Team: c.rules, Organisation: c.w.Policies}, files: policy.NewFiles(c.is),
		}
		before := map[string]bool{}
		if was != nil {
			old, err := j.violations(*p.was, p.cluster, was, was)
			if err != nil {
				return nil, err
			}
			for _, v := range old {
				before[same(v)] = true
			}
		}
		violations, err := j.violations(*p.is, p.cluster, is.Manifests, was)
		if err != nil {
			return nil, err
		}
		j.keep(*p.is, is, slices.DeleteFunc(violations, func(v policy.Violation) bool { return before[same(v)] || v.Waived != nil }))
		for _, f := range j.findings.List() {
			all.Add(policy.Overlay{Path: p.is.Dir, App: app, Env: env}, []policy.Violation{f.Violation})
		}
	}
	return all.List(), nil
}

// same is the same for a violation that was there before.
func same(v policy.Violation) string {
	return fmt.Sprintln(v.Rule, v.Mode, v.Object, v.Path, v.Message, v.Waived != nil)
}

// takeUp sorts what was brought into what refuses the pull request, and what a
// reviewer should know.
func (f *findings) takeUp(found []policy.Finding) {
	for _, b := range found {
		line := fmt.Sprintf("%s (%s): %s.", b.Rule, checklist.Code(b.Place.String()), checklist.Escape(strings.TrimSuffix(b.Message, ".")))
		level := "warning"
		if b.Blocks() {
			level = "failure"
			f.forbidden = append(f.forbidden, line)
		} else {
			f.notes = append(f.notes, line)
		}
		if b.Place.File == "" {
			continue
		}
		a := github.Annotation{Path: b.Place.File, Line: max(1, b.Place.Line), Level: level, Title: b.Rule, Message: b.Message}
		if len(f.remarks) < maxRemarks && !slices.Contains(f.remarks, a) {
			f.remarks = append(f.remarks, a)
		}
	}
}

// maxRemarks is how many annotations GitHub takes in one request.
const maxRemarks = 50
