package worker

import (
	"context"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
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
	if _, err := w.bases.fresh(ctx, repo, ""); err != nil {
		return w.unusable(ctx, repo, err)
	}
	uses, err := w.usesIn(ctx, repo, func(envrepo.Pair) bool { return true })
	if err != nil {
		return w.unusable(ctx, repo, err)
	}
	var targets []store.NewTarget
	for _, u := range uses {
		branch := u.env.Branch
		if branch == "" {
			branch = repo.DefaultBranch
		}
		for _, cluster := range u.env.Clusters {
			targets = append(targets, store.NewTarget{App: u.pair.App, Env: u.env.Name, Cluster: cluster, Branch: branch})
		}
	}
	if err := w.Store.SetConfigError(ctx, repo.ID, ""); err != nil {
		return err
	}
	if err := w.Store.KeepTargets(ctx, repo.ID, targets, syncJob); err != nil {
		return err
	}
	if err := w.Store.WakeRepo(ctx, repo.ID, reconcileJob); err != nil {
		return err
	}
	return w.catchUp(ctx, uses)
}

// unusable writes down why a configuration cannot be used, for the board, and
// has the open pull requests say so. Targets stay as they are: what cannot be
// read is not gone (I6).
func (w *Worker) unusable(ctx context.Context, repo store.Repo, err error) error {
	if !fault.Is(err, fault.Invalid) {
		return err
	}
	if err := w.Store.SetConfigError(ctx, repo.ID, explain(err)); err != nil {
		return err
	}
	return w.Store.WakeRepo(ctx, repo.ID, reconcileJob)
}
