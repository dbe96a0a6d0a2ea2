package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// rests says why nothing moves in an env repo, and who can change that; "" where it
// does. Nothing is given up meanwhile: what was on its way goes on when it is back.
func rests(r store.Repo) string {
	name := r.Owner + "/" + r.Name
	switch {
	case r.Presence == store.PresenceRemoved && r.PresenceNote != "":
		return r.PresenceNote
	case r.Presence == store.PresenceSuspended:
		return fmt.Sprintf("Waits: the GitHub App is suspended for %s. An owner of %s can unsuspend it in the settings of its GitHub Apps.", name, r.Owner)
	case r.Presence == store.PresenceRemoved:
		return fmt.Sprintf("Waits: the GitHub App is not installed on %s. An owner of %s can install it there again.", name, r.Owner)
	case r.Presence == store.PresenceArchived:
		return fmt.Sprintf("Waits: %s is archived, so that nothing can be changed there. An administrator of it can unarchive it.", name)
	}
	return ""
}

// asleep ends the look at a promotion whose env repo rests, with words on the board;
// GitHub is not asked for anything. It answers false where the env repo does not rest.
func (w *Worker) asleep(ctx context.Context, j *river.Job[job.Reconcile]) (bool, error) {
	for {
		p, err := w.Store.Promotion(ctx, j.Args.Promotion)
		if err != nil {
			return false, err
		}
		repo, err := w.Store.Repo(ctx, p.RepoID)
		if err != nil {
			return false, err
		}
		why := rests(repo)
		if why == "" {
			return false, nil
		}
		if p.Message != why && (p.State == "proposed" || p.State == "open") {
			if err := w.Store.RecordMessage(ctx, p.ID, why); err != nil {
				return false, err
			}
		}
		again, err := store.SettlePromotion(ctx, w.Store, p.ID, p.Want, time.Time{}, j)
		if err != nil || !again {
			return true, err
		}
	}
}
