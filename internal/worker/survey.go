package worker

import (
	"context"
	"slices"
	"strings"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
)

// survey reads the base branches of an env repo, wants every cluster that they
// name brought up to them, has the promotions that wait there looked at, and
// proposes what the environments follow.
func (w *Worker) survey(ctx context.Context, j *river.Job[job.Survey]) error {
	repo, err := w.Store.Repo(ctx, j.Args.Repo)
	if err != nil {
		return err
	}
	if !store.Readable(repo) {
		return nil // it is surveyed when it is back
	}
	root, err := w.bases.fresh(ctx, repo, "")
	if err != nil {
		return w.unusable(ctx, repo, err)
	}
	uses, err := w.usesIn(ctx, repo, func(envrepo.Pair) bool { return true })
	if err != nil {
		return w.unusable(ctx, repo, err)
	}
	heads := surveyed(root, uses)
	if heads != repo.Surveyed || repo.ConfigError != "" {
		// First: what people took back must not be proposed again.
		if err := w.reverted(ctx, repo, uses); err != nil {
			return err
		}
		if err := w.Store.WakeRepo(ctx, repo.ID, reconcileJob); err != nil {
			return err
		}
		if err := w.catchUp(ctx, uses); err != nil {
			return err
		}
	}
	if err := w.moveBases(ctx, repo, uses); err != nil {
		return err
	}
	targets := targetsOf(uses)
	w.spare(ctx, repo, uses, targets)
	// Last, because it writes down that these heads were surveyed.
	if err := w.Store.KeepTargets(ctx, repo.ID, heads, targets, syncJob); err != nil {
		return err
	}
	if err := w.Store.EndLeftDrifts(ctx, repo.ID, driftJob); err != nil {
		return err
	}
	return w.unreached(ctx, func(of int64) bool { return of == repo.ID })
}

// spare tells of which targets it is known that they render as they did at the
// commit that was surveyed last, so that a commit wakes only those that it can
// change. Where that is not known for certain, none is spared.
func (w *Worker) spare(ctx context.Context, repo store.Repo, uses []use, targets []store.NewTarget) {
	type comparison struct {
		now     *base
		targets []int
		sources []render.Source
	}
	compared := map[string]*comparison{} // by environment
	of := map[[2]string]use{}
	for _, u := range uses {
		of[[2]string{u.pair.App, u.env.Name}] = u
	}
	for i, t := range targets {
		u := of[[2]string{t.App, t.Env}]
		c := compared[t.Env]
		if c == nil {
			c = &comparison{now: u.base}
			compared[t.Env] = c
		}
		c.targets = append(c.targets, i)
		c.sources = append(c.sources, sourceFor(u.base.config, u.pair, t.Cluster))
	}
	for env, c := range compared {
		before := w.bases.surveyed(ctx, repo, env)
		if before == nil {
			continue
		}
		affected := w.Render.Affected(renderScope(repo), before, c.now.tree, c.sources)
		for n, i := range c.targets {
			if !affected[n] {
				targets[i].SameAs = before.Commit()
			}
		}
	}
}

// surveyed tells the commits that a survey has seen: of the configuration, and of
// each environment's branch.
func surveyed(root *base, uses []use) string {
	heads := []string{root.commit}
	for _, u := range uses {
		if head := u.env.Name + "@" + u.base.commit; !slices.Contains(heads, head) {
			heads = append(heads, head)
		}
	}
	return strings.Join(heads, " ")
}

func targetsOf(uses []use) []store.NewTarget {
	var targets []store.NewTarget
	for _, u := range uses {
		position := slices.IndexFunc(u.base.config.Environments, func(e envrepo.Environment) bool { return e.Name == u.env.Name })
		for _, cluster := range u.env.Clusters {
			targets = append(targets, store.NewTarget{App: u.pair.App, Env: u.env.Name, Cluster: cluster, Branch: u.branch(), Position: position, Wave: u.env.Wave(cluster)})
		}
	}
	return targets
}

// moveBases points promotions to the branches that their environments live on now:
// tagboat.yaml names another one, or the default branch is called otherwise.
func (w *Worker) moveBases(ctx context.Context, repo store.Repo, uses []use) error {
	for _, u := range uses {
		if err := w.Store.MoveBase(ctx, repo.ID, u.pair.App, u.env.Name, u.branch(), reconcileJob); err != nil {
			return err
		}
	}
	return nil
}
