package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// PruneYes is a person's yes to the deletion of a list.
type PruneYes = query.PruneYe

// ApprovePrune writes down that what the code names may be deleted, in every cluster of
// the app in the environment that shows exactly that list, and has those looked at. It
// returns them.
func (s *Store) ApprovePrune(ctx context.Context, y Yes, sync func(t Target) river.JobArgs) (agreed []Target, err error) {
	defer wrap(&err, "let %s in %s be pruned", y.App, y.Env)
	return s.agree(ctx, y, question{
		action: ActionPruneApproved,
		waits:  func(t Target) ([]byte, string) { return t.Surplus, t.SurplusCode },
		write: func(ctx context.Context, q *query.Queries, t Target, now time.Time) error {
			return q.InsertPruneYes(ctx, query.InsertPruneYesParams{
				TargetID: t.ID, Code: y.Code, ActorID: y.By.ID, Actor: y.By.Login, URL: y.URL, CommandID: reference(y.Command), SaidAt: now,
			})
		},
	}, sync)
}

// PruneApproved is the yes that was said to a target's list; false where nobody has.
func (s *Store) PruneApproved(ctx context.Context, target int64, code string) (yes PruneYes, said bool, err error) {
	defer wrap(&err, "read whether target %d may be pruned", target)
	yes, err = s.query.PruneYes(ctx, query.PruneYesParams{TargetID: target, Code: code})
	if errors.Is(err, pgx.ErrNoRows) {
		return yes, false, nil
	}
	return yes, err == nil, err
}
