package worker

import (
	"context"
	"errors"

	"github.com/tagboat/tagboat/internal/store"
)

// unreached says of every target that no process can bring it, once, so that nobody
// waits in silence. It is brought when a process that reaches its cluster starts.
func (w *Worker) unreached(ctx context.Context) error {
	targets, err := w.Store.Unreached(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range targets {
		if t.Got != t.Want || t.State != store.TargetFailed {
			errs = append(errs, w.tellUnreached(ctx, t.ID))
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
	r := stays(a.target)
	r.State, r.Message, r.Vain = store.TargetFailed, explain(unknownCluster(a.target.Cluster)), true
	return w.Store.FinishSync(alone, a.target, 0, r, afterSync())
}
