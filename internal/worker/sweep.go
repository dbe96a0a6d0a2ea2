package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

const (
	// keptFor is how long GitHub keeps failed deliveries (docs: "Redelivering
	// webhooks"). A process looks back that far when it starts.
	keptFor = 3 * 24 * time.Hour
	// lookBack is how far every later sweep looks back: a few sweeps.
	lookBack = 10 * time.Minute
	// learnEvery is how often the installations are listed without being told.
	learnEvery = time.Hour
	// lookAgain is how old the last look at a healthy target may be: what was healthy
	// may not be any more, and the next environment waits for it to stay so.
	lookAgain = time.Minute
)

// swept is what this process's sweeps remember. Sweep and Learn share a queue
// that works on one job at a time.
type swept struct {
	deliveries time.Time // when failed deliveries were last looked for
	learnt     time.Time
}

// sweep re-derives what a lost event would have told. Its parts do not depend on
// one another: one that fails does not keep the others from being done.
func (w *Worker) sweep(ctx context.Context, _ *river.Job[job.Sweep]) error {
	return errors.Join(
		w.learnSometimes(ctx),
		w.surveyAll(ctx),
		w.redeliver(ctx),
		w.wakeDue(ctx),
	)
}

func (w *Worker) learnSometimes(ctx context.Context) error {
	if w.Now().Sub(w.swept.learnt) < learnEvery {
		return nil
	}
	return w.seeRepos(ctx)
}

// learn is the sweep's first part alone, when GitHub says that it has changed.
func (w *Worker) learn(ctx context.Context, _ *river.Job[job.Learn]) error { return w.seeRepos(ctx) }

// seeRepos learns where the env repos' installations and default branches are.
func (w *Worker) seeRepos(ctx context.Context) error {
	repos, err := w.GitHub.Repositories(ctx)
	if err != nil {
		return fmt.Errorf("list what the App is installed on: %w", err)
	}
	var missing []string
	for _, full := range w.EnvRepos {
		repo, ok := installed(repos, full)
		if !ok {
			missing = append(missing, full)
			continue
		}
		if _, err := w.Store.SeeRepo(ctx, repo.Owner, repo.Name, repo.InstallationID, repo.DefaultBranch); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fault.Errorf(fault.NotFound, "The GitHub App is not installed on %s: install it there, with the permissions of deploy/github-app.yaml.", strings.Join(missing, ", "))
	}
	w.swept.learnt = w.Now()
	return nil
}

func installed(repos []github.Repository, full string) (github.Repository, bool) {
	for _, r := range repos {
		if sameName(r.Owner+"/"+r.Name, full) {
			return r, true
		}
	}
	return github.Repository{}, false
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
	return w.Store.WantStale(ctx, w.Now().Add(-lookAgain), syncJob)
}

// repos are the env repos that are looked after now. One that was taken out of the
// configuration is remembered, and left alone.
func (w *Worker) repos(ctx context.Context) ([]store.Repo, error) {
	known, err := w.Store.Repos(ctx)
	return slices.DeleteFunc(known, func(r store.Repo) bool { return !w.looksAfter(r.Owner, r.Name) }), err
}

func (w *Worker) looksAfter(owner, name string) bool {
	return slices.ContainsFunc(w.EnvRepos, func(full string) bool { return sameName(full, owner+"/"+name) })
}

// redeliver asks GitHub to send again what never reached us: it does not do so
// by itself. A delivery keeps its id, so one that did reach us changes nothing.
func (w *Worker) redeliver(ctx context.Context) error {
	start, since := w.Now(), w.swept.deliveries.Add(-lookBack)
	if w.swept.deliveries.IsZero() {
		since = start.Add(-keptFor)
	}
	failed, err := w.GitHub.FailedDeliveries(ctx, since)
	if err != nil {
		return fmt.Errorf("list failed deliveries: %w", err)
	}
	for _, d := range failed {
		if err := w.GitHub.Redeliver(ctx, d.ID); err != nil {
			return err
		}
		w.Log.InfoContext(ctx, "asked for a lost delivery again", "delivery", d.GUID, "event", d.Event)
	}
	w.swept.deliveries = start
	return nil
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
		if err := w.Store.Wake(ctx, p.ID, reconcileJob(p.ID)); err != nil {
			return err
		}
	}
	return nil
}
