package worker

import (
	"context"
	"errors"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// unreached says of every target that no process can bring it, once, so that nobody
// waits in silence. It is brought when a process that reaches its cluster starts.
func (w *Worker) unreached(ctx context.Context, of func(repo int64) bool) error {
	targets, err := w.Store.Unreached(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range targets {
		if !of(t.RepoID) || t.Got == t.Want && t.State == store.TargetFailed {
			continue
		}
		if err := w.tellUnreached(ctx, t.ID); !fault.Is(err, fault.RateLimited) { // somebody has it, and tells
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
	r := stays(a.target)
	r.State, r.Message, r.Vain = store.TargetFailed, explain(unknownCluster(a.target.Cluster)), true
	return w.Store.FinishSync(alone, a.target, 0, r, afterSync())
}
