package worker

import (
	"context"

	"github.com/tagboat/tagboat/internal/store"
)

// lookBack looks what of a target that is gone is still in its cluster, and forgets what is
// not: people have removed it, or another target has it. The rest is left alone, and told.
func (w *Worker) lookBack(ctx context.Context, a *attempt, repo store.Repo) error {
	door, ok := w.Clusters[a.target.Cluster]
	if !ok {
		return nil
	}
	book := ledger{w.Store, a.target}
	entries, err := book.entries(ctx)
	if err != nil || len(entries) == 0 {
		return err
	}
	released, err := door.Released(ctx, w.targetOf(repo, a.target.App, a.target.Env, a.target.Cluster), entries)
	if err != nil {
		w.Log.WarnContext(ctx, "what a target that is gone has left could not be looked for", "target", a.target.ID, "cluster", a.target.Cluster, "error", err)
	} else if len(released) > 0 {
		if err := book.Forget(ctx, released); err != nil {
			return err
		}
	}
	return w.Store.Counted(ctx, a.target) // also where it was in vain: it is asked again later
}
