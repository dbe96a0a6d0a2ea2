package worker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
)

const (
	// lookAgain is how old the last look at a healthy target may be: what was healthy
	// may not be any more, and the next environment waits for it to stay so.
	lookAgain = time.Minute
	// lookBackEvery is how soon it is noticed that people have removed what a target that
	// is gone has left.
	lookBackEvery = 5 * time.Minute
)

// swept is what this process's sweeps remember. Sweep and Learn share a queue
// that works on one job at a time.
type swept struct {
	deliveries deliveryLog
	asked      map[string]asking // lost deliveries that GitHub was asked for, by their id
	learnt     time.Time
	// without are repositories that had no tagboat.yaml when they had been pushed to last.
	without map[int64]time.Time
	// installed are the repositories that the App is installed on.
	installed []github.Repository
}

// sweep re-derives what a lost event would have told. Its parts do not depend on
// one another: one that fails does not keep the others from being done.
func (w *Worker) sweep(ctx context.Context, _ *river.Job[job.Sweep]) error {
	return errors.Join(
		w.learnSometimes(ctx),
		w.surveyAll(ctx),
		w.unreached(ctx, func(int64) bool { return true }),
		w.wakeDue(ctx),
		w.poll(ctx),
		w.redeliver(ctx), // last, because what GitHub could not deliver may be much
	)
}

// surveyAll looks at every base branch: a push whose webhook was lost shows.
func (w *Worker) surveyAll(ctx context.Context) error {
	repos, err := w.repos(ctx)
	if err != nil {
		return err
	}
	for _, r := range repos {
		if err := w.Store.Enqueue(ctx, job.Survey{Repo: r.ID}); err != nil {
			return err
		}
	}
	if err := w.Store.WantLeft(ctx, w.Now().Add(-lookBackEvery), syncJob); err != nil {
		return err
	}
	return w.Store.WantStale(ctx, w.Now().Add(-lookAgain), syncJob)
}

// wakeDue has promotions looked at whose time has come, or whose last look never
// ended, and those that ended and left something behind.
func (w *Worker) wakeDue(ctx context.Context) error {
	due, err := w.Store.DuePromotions(ctx)
	if err != nil {
		return err
	}
	merged, err := w.Store.UnreportedPromotions(ctx)
	if err != nil {
		return err
	}
	closed, err := w.Store.Leftovers(ctx)
	if err != nil {
		return err
	}
	for _, p := range slices.Concat(due, merged, closed) {
		if err := w.Store.Wake(ctx, p.ID, reconcileJob); err != nil {
			return err
		}
	}
	return nil
}
