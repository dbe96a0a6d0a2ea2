package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/render"
)

// maxRendered bounds what a pull request shows of its clusters' objects, in bytes:
// a third of what GitHub takes.
const maxRendered = 20_000

// rendering is what an edit does to the clusters of its environment, and what the
// rules say of it.
type rendering struct {
	facts    promotion.Rendered
	markdown string
	policy   promotion.Policy
	remarks  []checklist.Annotation
	still    bool              // no object differs
	contents map[string]string // cluster -> hash of what is rendered for it, with the edit and without it
}

// renderedAlone is what the edit of a promotion by itself does to its clusters, and what
// those answered. Of a set, the commit has to be known whole before.
func (l *look) renderedAlone(ctx context.Context) error {
	if l.row.SetID != nil {
		return nil
	}
	return errors.Join(l.rendered(ctx), l.trials(ctx))
}

// after is the base as the commit makes it.
func (l *look) after() (tree render.Tree) {
	tree = l.base.tree
	for _, e := range l.edits {
		tree = render.Edited(tree, e.Path, e.After)
	}
	return tree
}

// rendered renders the overlays of the environment's clusters with the edit and
// without it. Both come from the cache where nothing but the image moved; what came
// of it is kept, for a promotion is looked at often.
func (l *look) rendered(ctx context.Context) error {
	if l.facts.Plan.Err != "" {
		return nil
	}
	if l.still = !slices.ContainsFunc(l.edits, overlay.Edit.Changed); l.still {
		return nil
	}
	// Waivers end at the end of a day.
	today := l.w.Now().UTC().Format(time.DateOnly)
	key := strings.Join([]string{renderScope(l.repo), l.base.from, l.base.commit, l.row.App, l.row.Env, today}, " ")
	for _, e := range l.edits {
		key += " " + e.Hash()
	}
	r, known := l.w.renderings.Get(key)
	if !known {
		var err error
		if r, err = l.compareRendered(ctx); err != nil {
			return err
		}
		l.w.renderings.Add(key, r)
	}
	if l.still = r.still; l.still && l.facts.Plan.Nothing {
		return nil
	}
	l.facts.Rendered, l.facts.Policy = r.facts, r.policy
	l.model.Rendered, l.model.Annotations, l.contents = r.markdown, r.remarks, r.contents
	return nil
}

// compareRendered compares cluster by cluster; overlays that several share are
// compared once. An error is one that passes.
func (l *look) compareRendered(ctx context.Context) (r rendering, err error) {
	after := l.after()
	var diffs []manifest.OverlayDiff
	judged := l.judging(after)
	of := map[string]int{}
	r.contents = map[string]string{}
	for _, cluster := range l.env.Clusters {
		source := sourceFor(l.base.config, l.pair, cluster)
		name := fmt.Sprintf("%+v", source)
		if source.Helm != nil {
			name = fmt.Sprintf("%+v %+v", source.Dir, *source.Helm)
		}
		if i, ok := of[name]; ok {
			first, _, _ := strings.Cut(diffs[i].Cluster, ", ")
			diffs[i].Cluster += ", " + cluster
			r.contents[cluster] = r.contents[first]
			continue
		}
		of[name] = len(diffs)
		d := manifest.OverlayDiff{Path: source.Dir, App: l.row.App, Env: l.row.Env, Cluster: cluster}
		if d.Diff, r.contents[cluster], err = l.compareSource(ctx, after, source, cluster, judged); err != nil {
			if fault.KindOf(err).Retryable() {
				return rendering{}, err
			}
			r.facts.Err = cmp.Or(r.facts.Err, fmt.Sprintf("With this version it cannot be rendered for %s: %s", cluster, explain(err)))
			d.Err = explain(err)
		}
		diffs = append(diffs, d)
	}
	r.still = !slices.ContainsFunc(diffs, func(d manifest.OverlayDiff) bool { return d.Err != "" || !d.Diff.Empty() })
	r.facts.Known, r.facts.Summary = true, summary(diffs)
	r.markdown = manifest.Markdown(diffs, maxRendered)
	r.policy, r.remarks = judged.result()
	return r, nil
}

// compareSource is what the edit changes in a source's objects, and a hash of both.
// Where they cannot be rendered without the edit, all of them are new: the edit may
// mend it.
func (l *look) compareSource(ctx context.Context, after render.Tree, source render.Source, cluster string, j *judging) (d manifest.Diff, content string, err error) {
	is, err := l.w.Render.Output(ctx, renderScope(l.repo), after, source)
	if err != nil {
		return d, "", err
	}
	was, err := l.w.Render.Build(ctx, renderScope(l.repo), l.base.tree, source)
	if err != nil && fault.KindOf(err).Retryable() {
		return d, "", err
	}
	if err := j.judge(source, cluster, is, was); err != nil {
		return d, "", err
	}
	d, err = manifest.Compare(was, is.Manifests)
	return d, hash(string(is.Manifests), string(was)), err
}

// summary is what a reviewer should know before reading on.
func summary(diffs []manifest.OverlayDiff) string {
	s := manifest.Summarize(diffs)
	var parts []string
	for _, n := range []struct {
		count int
		what  string
	}{{s.Added, "added"}, {s.Changed, "changed"}, {s.Removed, "removed"}} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	switch {
	case len(s.Images) > 0:
		images := make([]string, 0, len(s.Images))
		for _, i := range s.Images {
			images = append(images, i.String())
		}
		return fmt.Sprintf("In the clusters only images change: %s.", strings.Join(slices.Compact(images), ", "))
	case len(parts) == 0:
		return "In the clusters nothing changes."
	}
	text := "Objects in the clusters: " + strings.Join(parts, ", ") + "."
	if len(s.Warnings) > 0 {
		text += fmt.Sprintf(" %s: %s", s.Warnings[0].Object, s.Warnings[0].Text)
	}
	return text
}
