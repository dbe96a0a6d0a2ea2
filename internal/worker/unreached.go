package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// unreached says of every target that no process brings it, once, so that nobody waits in
// silence. It is brought when a process that reaches its cluster starts.
func (w *Worker) unreached(ctx context.Context, of func(repo int64) bool) error {
	targets, err := w.Store.Unreached(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range targets {
		if !of(t.RepoID) || toldUnreached(t.Target, t.Since) {
			continue
		}
		if err := w.tellUnreached(ctx, t.ID); !fault.Is(err, fault.RateLimited) { // somebody has it, and tells
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// toldUnreached reports whether that was said of a target already.
func toldUnreached(t store.Target, since time.Time) bool {
	if since.IsZero() {
		return t.Got == t.Want && t.State == store.TargetFailed
	}
	words := nobodyServes(t.Cluster, since)
	return store.Unserved(t) && t.Message == words || hasFailed(t) && slices.Contains(t.Notes, words)
}

func (w *Worker) tellUnreached(ctx context.Context, id int64) error {
	alone, a, err := w.take(ctx, id)
	if err != nil {
		return err
	}
	defer a.end(ctx)
	repo, err := w.Store.Repo(ctx, a.target.RepoID)
	if err != nil || !store.Readable(repo) {
		return err
	}
	since, now, err := w.Store.LastReached(ctx, a.target.Cluster)
	if err != nil || now { // a process is back, and tells
		return err
	}
	return w.Store.FinishSync(alone, a.target, 0, untended(a.target, since), afterSync())
}

// untended is where a target stands whose cluster no process has brought since then. That
// none ever has is a fault of the configuration. One that is away may be back any moment,
// and nothing has failed meanwhile: the target waits. What had failed before, in an attempt
// or a look of some process, has failed still.
func untended(t store.Target, since time.Time) store.Reached {
	r := stays(t)
	if since.IsZero() {
		r.State, r.Message, r.Vain = store.TargetFailed, explain(unknownCluster(t.Cluster)), true
		return r
	}
	words := nobodyServes(t.Cluster, since)
	r.Held, r.HeldUntil, r.Unseen = t.Held, moment(t.HeldUntil), true
	if hasFailed(t) {
		r.State, r.Message, r.Ill, r.Notes = t.State, t.Message, t.Ill, append(r.Notes, words)
		return r
	}
	r.State, r.Message, r.Remembers = store.TargetWaiting, words, t.State == store.TargetHealthy || store.Unserved(t)
	return r
}

// hasFailed reports whether somebody has tried, or looked, and it was not well. That nobody
// could be found to do so is told in the same state, and is none of that.
func hasFailed(t store.Target) bool {
	return t.State == store.TargetUnreachable || t.State == store.TargetFailed && t.Message != explain(unknownCluster(t.Cluster))
}

func nobodyServes(cluster string, since time.Time) string {
	return fmt.Sprintf(store.NobodyServes+"%s since %s, so nothing changes there and nobody looks. Whoever runs Tagboat can start one (tagboat sync --clusters %s), or find out from the log of the one that should run; it goes on by itself then. If the cluster is no more, take the cluster out of tagboat.yaml.",
		cluster, clock(since), cluster)
}

// unserved reports whether no process serves a target's cluster, whatever else is told of it.
func unserved(t store.Target) bool {
	return store.Unserved(t) || slices.ContainsFunc(t.Notes, func(note string) bool { return strings.HasPrefix(note, store.NobodyServes) })
}

// servedAgain ends the waiting of a target for a process: this one serves its cluster. What
// was healthy, and was seen so lately enough to count, is taken for that until somebody has
// looked, as after any time without a look.
func (w *Worker) servedAgain(ctx context.Context, t store.Target) (store.Target, error) {
	if !store.Unserved(t) {
		return t, nil
	}
	r := stays(t)
	r.State, r.Held, r.HeldUntil, r.Unseen = store.TargetUnknown, t.Held, moment(t.HeldUntil), true
	if store.Seen(t, w.Now()) {
		r.State = store.TargetHealthy
	}
	if err := w.Store.FinishSync(ctx, t, 0, r, afterSync()); err != nil {
		return t, err
	}
	return w.Store.Target(ctx, t.ID)
}
