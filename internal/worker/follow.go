package worker

import (
	"context"
	"fmt"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// follow proposes a new artifact to an environment that takes it by itself.
func (w *Worker) follow(ctx context.Context, u use, a store.Artifact, delivery int64) error {
	if !u.base.config.Follows(u.env, a.Tag) {
		return nil
	}
	wanted, err := w.newHere(ctx, u, a)
	if err != nil || !wanted {
		return err
	}
	_, err = w.propose(ctx, u, a, proposal{
		reason: fmt.Sprintf("New version that matches `%s`.", u.env.Follow.Semver), delivery: delivery, once: true,
	})
	return err
}

// newHere reports whether an artifact is newer than what an overlay pins, and not
// older than what is on its way there already.
func (w *Worker) newHere(ctx context.Context, u use, a store.Artifact) (bool, error) {
	current, err := pinned(u, a.Image)
	if err != nil || pins(current, a) {
		return false, nil // an overlay that cannot be read says so on the board
	}
	if back, err := w.goesBack(ctx, a, current); err != nil || back {
		return false, err
	}
	if _, denied, err := w.Store.Denial(ctx, u.repo.ID, u.pair.App, u.env.Name, a.Image, a.Digest); err != nil || denied {
		return false, err // people took it back
	}
	active, err := w.Store.ActivePromotion(ctx, u.repo.ID, u.pair.App, u.env.Name)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil || active.Kind == store.KindRollback {
		return false, err // going back goes first
	}
	waiting, err := w.Store.Artifact(ctx, active.ArtifactID)
	return !older(a.Tag, waiting.Tag), err
}

// recentVersions is how many versions back an environment catches up with what it
// follows.
const recentVersions = 100

// catchUp proposes to environments what they follow and were never offered:
// their overlay, or tagboat.yaml, could not be read when it arrived, or did not
// ask for it yet.
func (w *Worker) catchUp(ctx context.Context, uses []use) error {
	for _, u := range uses {
		if u.pair.Err != nil || u.env.Follow == nil {
			continue
		}
		for _, name := range u.pair.Moves() {
			if err := w.catchUpImage(ctx, u, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// catchUpPair does that for one app's environment, where nobody keeps Tagboat from it
// any more.
func (w *Worker) catchUpPair(ctx context.Context, j *river.Job[job.CatchUp]) error {
	repo, err := w.Store.Repo(ctx, j.Args.Repo)
	if err != nil {
		return err
	}
	uses, err := w.usesIn(ctx, repo, func(p envrepo.Pair) bool { return p.App == j.Args.App && p.Env == j.Args.Env })
	if err != nil {
		return err
	}
	return w.catchUp(ctx, uses)
}

func (w *Worker) catchUpImage(ctx context.Context, u use, name string) error {
	if u.env.Follow.Env != "" {
		return w.catchUpWith(ctx, u, name)
	}
	recent, err := w.Store.RecentArtifacts(ctx, name, recentVersions)
	if err != nil {
		return err
	}
	var newest *store.Artifact
	for _, a := range recent {
		if u.base.config.Follows(u.env, a.Tag) && (newest == nil || older(newest.Tag, a.Tag)) {
			newest = &a
		}
	}
	if newest == nil {
		return nil
	}
	return w.follow(ctx, u, *newest, 0)
}

// catchUpWith proposes what runs in the environment that u follows.
func (w *Worker) catchUpWith(ctx context.Context, u use, name string) error {
	targets, err := w.Store.TargetsOfPair(ctx, u.repo.ID, u.pair.App, u.env.Follow.Env)
	if err != nil {
		return err
	}
	up := upstreamFacts(u.env.Follow.Env, targets, w.Now())
	if !up.Healthy {
		return nil
	}
	a, err := w.Store.ArtifactByDigest(ctx, name, up.Digest)
	if fault.Is(err, fault.NotFound) {
		return nil // from before Tagboat came, or another image of the overlay
	}
	if err != nil {
		return err
	}
	return w.passOn(ctx, u, a)
}

// passOn proposes an artifact that is healthy in the environment that u follows.
func (w *Worker) passOn(ctx context.Context, u use, a store.Artifact) error {
	wanted, err := w.newHere(ctx, u, a)
	if err != nil || !wanted {
		return err
	}
	_, err = w.propose(ctx, u, a, proposal{
		reason: fmt.Sprintf("It is healthy in %s, which %s follows.", u.env.Follow.Env, u.env.Name), once: true,
	})
	return err
}

// passOnFrom proposes what a target has come to run to the environments that
// follow its own: also what a person brought there by hand.
func (w *Worker) passOnFrom(ctx context.Context, before store.Target) error {
	now, err := w.Store.Target(ctx, before.ID)
	if err != nil || now.State != store.TargetHealthy || before.State == store.TargetHealthy && before.Digest == now.Digest {
		return err
	}
	repo, err := w.Store.Repo(ctx, now.RepoID)
	if err != nil {
		return err
	}
	followers, err := w.usesIn(ctx, repo, func(p envrepo.Pair) bool { return p.App == now.App })
	if err != nil {
		return err
	}
	for _, u := range followers {
		if u.env.Follow != nil && u.env.Follow.Env == now.Env && u.pair.Err == nil {
			if err := w.catchUpWith(ctx, u, now.Image); err != nil {
				return err
			}
		}
	}
	return nil
}
