package worker

import (
	"context"
	"fmt"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/store"
)

// carries finds what the merge would bring to the environment's clusters beside the
// image. Every commit of the branch is brought to every cluster by itself, so this is
// about clusters that are behind: the last sync failed, no process serves them, or they wait for an earlier wave,
// and what was merged since the last good one is still to come. A sync that is under way
// is not told of: it ends by itself, and the description would change twice for it. Nor
// is a wave that has to stay healthy for a while.
func (l *look) carries(ctx context.Context) error {
	if l.facts.Plan.Err != "" || l.facts.Plan.Nothing {
		return nil
	}
	for _, t := range l.targets {
		held := t.Held != "" && t.HeldUntil == nil
		if t.State == store.TargetHealthy && !held || t.Branch != l.row.BaseBranch {
			continue
		}
		commit, failed, err := l.w.Store.SyncedTo(ctx, t.ID)
		if err != nil {
			return err
		}
		if !failed && !held && !unserved(t) && t.State != store.TargetFailed && t.State != store.TargetUnreachable {
			continue
		}
		c := checklist.Carried{Cluster: t.Cluster, Commit: commit}
		if commit != "" {
			missing, err := l.missing(ctx, t, commit)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				c.Unknown = explain(err)
				if fault.KindOf(err).Retryable() {
					l.again = earlier(l.again, l.w.again(err))
				}
			case missing.Empty():
				continue
			}
			for _, o := range missing.Objects {
				if len(c.Objects) == checklist.MaxCarried {
					break
				}
				c.Objects = append(c.Objects, fmt.Sprintf("%s %s", o.ID, o.Change))
			}
			c.More = len(missing.Objects) - len(c.Objects)
		}
		switch {
		case t.State == store.TargetFailed || t.State == store.TargetUnreachable || store.Unserved(t):
			c.Why = t.Message
		case held:
			c.Waits = t.Held
		}
		l.model.Carries = append(l.model.Carries, c)
	}
	return nil
}

// missing is what differs between what a target was brought to and what the newest
// base has for it, but for the image that this promotion moves.
func (l *look) missing(ctx context.Context, t store.Target, commit string) (manifest.Diff, error) {
	if commit == l.base.commit {
		return manifest.Diff{}, nil
	}
	mirror, err := l.w.bases.mirror(l.repo)
	if err != nil {
		return manifest.Diff{}, err
	}
	then, err := mirror.At(ctx, commit)
	if err != nil {
		return manifest.Diff{}, err
	}
	source := sourceFor(l.base.config, l.pair, t.Cluster)
	was, err := l.w.Render.Build(ctx, renderScope(l.repo), then, source)
	if err != nil {
		return manifest.Diff{}, err
	}
	is, err := l.w.Render.Build(ctx, renderScope(l.repo), l.base.tree, source)
	if err != nil {
		return manifest.Diff{}, err
	}
	diff, err := manifest.Compare(was, is)
	return diff.WithoutImage(l.artifact.Image), err
}
