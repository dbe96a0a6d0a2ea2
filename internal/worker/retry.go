package worker

import (
	"context"
	"fmt"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// retry carries out /retry [env] [app]: everything that the app waits for there is looked
// at again now. It has no effect of its own, so it may be done twice.
func (w *Worker) retry(ctx context.Context, r request, cmd command.Retry) (string, error) {
	if cmd.App != "" {
		r.app = cmd.App
	}
	if r.env == "" {
		return "", fault.Errorf(fault.Invalid, "This is not a pull request of Tagboat's. Comment on one, or name an environment and an app: /retry <env> <app>.")
	}
	u, err := w.pairOf(ctx, r, "retry")
	if err != nil {
		return "", err
	}
	active, err := w.Store.ActivePromotion(ctx, r.repo.ID, u.pair.App, u.env.Name)
	if err == nil {
		err = w.readAnew(ctx, active.ID)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	woken, err := w.Store.Retry(ctx, store.Retrying{
		Repo: r.repo.ID, App: u.pair.App, Env: u.env.Name, By: store.Actor{ID: r.command.AuthorID, Login: r.command.Author}, Delivery: deliveryOf(r.command),
	}, reconcileJob, syncJob)
	if err != nil || r.carries(u.env.Name, u.pair.App) && woken.Promotions > 0 {
		return "", err // the reaction says it
	}
	return fmt.Sprintf("Looking again at %s in %s: promotions on their way %d, clusters %d.",
		checklist.Escape(u.pair.App), checklist.Escape(u.env.Name), woken.Promotions, woken.Clusters), nil
}

// readAnew asks GitHub and the registry about a promotion, as before a merge. What only a
// person can mend is told by the gates.
func (w *Worker) readAnew(ctx context.Context, id int64) error {
	l, err := w.look(ctx, id, true)
	if err != nil {
		return err
	}
	if l.facts.Pull == nil {
		return w.askAgain(ctx, l)
	}
	_, err = w.reread(ctx, l)
	if err != nil && !fault.KindOf(err).Retryable() {
		w.Log.WarnContext(ctx, "a promotion could not be read anew", "promotion", id, "error", err)
		return nil
	}
	return err
}
