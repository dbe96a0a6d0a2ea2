package worker

import (
	"context"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// wavesOf are an environment's waves, as the rules see them.
func wavesOf(env envrepo.Environment) (waves []promotion.Wave) {
	for _, w := range env.Waves {
		waves = append(waves, promotion.Wave{Clusters: w.Clusters, Healthy: w.Healthy})
	}
	return waves
}

// turn decides whether a target may change to what is in Git now. What it has already
// is no change, also where an attempt to bring it was broken off.
func (w *Worker) turn(ctx context.Context, t store.Target, s syncing) (promotion.Turn, error) {
	waves := wavesOf(s.env)
	earlier := promotion.Before(waves, t.Cluster)
	if len(earlier) == 0 || t.RenderedHash == s.reached.RenderedHash {
		return promotion.Turn{}, nil
	}
	targets, err := w.Store.TargetsOfPair(ctx, t.RepoID, t.App, t.Env)
	if err != nil {
		return promotion.Turn{}, err
	}
	var stands []promotion.Stand
	for _, other := range targets {
		if !slices.Contains(earlier, other.Cluster) {
			continue
		}
		stand, err := w.stand(ctx, s, other)
		if err != nil {
			return promotion.Turn{}, err
		}
		stands = append(stands, stand)
	}
	return promotion.TurnOf(waves, t.Cluster, stands, w.Now()), nil
}

// stand is how another cluster of the pair stands to what this commit renders to for
// it. That comes from the cache, as a rule: its own sync renders the same.
func (w *Worker) stand(ctx context.Context, s syncing, t store.Target) (promotion.Stand, error) {
	stand := promotion.Stand{Cluster: t.Cluster, Healthy: store.Seen(t, w.Now()), Since: moment(t.SteadySince)}
	if t.State == store.TargetFailed || t.State == store.TargetUnreachable {
		stand.Trouble = t.Message
	}
	if store.Unserved(t) {
		stand.Unserved = t.Message
	}
	manifests, err := w.manifests(ctx, s, s.base.tree, t.Cluster)
	switch {
	case err == nil:
		stand.Has = t.RenderedHash == contentHash(manifests)
	case fault.KindOf(err).Retryable():
		return stand, err
	default:
		stand.Trouble = explain(err)
	}
	return stand, nil
}

// glance is how long a target that is ill with what it has is looked at while it waits
// for its turn: what mends it may be what it waits for.
const glance = 5 * time.Second

// keep leaves a target what it has: it looks after that, and writes down what is waited for.
func (w *Worker) keep(ctx context.Context, a *attempt, s syncing, waits func(r *store.Reached)) error {
	t := a.target
	r := stays(t)
	r.State, r.Message = t.State, t.Message
	if t.State == store.TargetApplying {
		r.State, r.Message = store.TargetUnknown, "An attempt to bring something there was broken off."
	}
	r.Unseen = true
	old, known, err := w.has(ctx, t, s)
	if err == nil && known && (w.Now().Sub(t.UpdatedAt) > lookAgain/2 || t.Suspected != t.Examined) {
		patience := glance
		if t.State == store.TargetHealthy || t.State == store.TargetWaiting {
			patience = w.HealthTimeout
		}
		old.reached = r
		if err = w.tend(ctx, a, &old, patience); err == nil {
			r = old.reached
			r.Unseen = false
		}
	}
	waits(&r)
	if err != nil {
		return w.lookFailed(ctx, a, r, err)
	}
	return w.Store.FinishSync(ctx, a.target, 0, r, afterSync())
}

// has is what a target was brought last, as it was then. Where that cannot be told any more
// (tagboat.yaml says otherwise by now, an attempt was broken off), what runs there is left
// alone.
func (w *Worker) has(ctx context.Context, t store.Target, s syncing) (then syncing, known bool, err error) {
	if t.CommitSHA == "" || t.RenderedHash == "" {
		return s, false, nil
	}
	then, err = w.asOf(ctx, s, t.CommitSHA)
	if err != nil && fault.KindOf(err).Retryable() {
		return s, false, err
	}
	return then, err == nil && then.reached.RenderedHash == t.RenderedHash, nil
}

// asOf is what an attempt would bring of an earlier commit, under the configuration that
// holds now.
func (w *Worker) asOf(ctx context.Context, s syncing, commit string) (syncing, error) {
	s.reached = store.Reached{Commit: commit}
	mirror, err := w.bases.mirror(s.repo)
	if err != nil {
		return s, err
	}
	tree, err := mirror.At(ctx, commit)
	if err != nil {
		return s, err
	}
	manifests, err := w.manifests(ctx, s, tree, s.was.Cluster)
	if err != nil {
		return s, err
	}
	s.reached.RenderedHash = contentHash(manifests)
	s.objects, err = cluster.Decode(manifests)
	return s, err
}
