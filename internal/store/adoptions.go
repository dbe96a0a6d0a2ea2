package store

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// ApproveAdoption writes down that the objects which the code names may be taken over, in
// every cluster of the app in the environment that shows exactly that list, and has those
// looked at. It returns them.
func (s *Store) ApproveAdoption(ctx context.Context, y Yes, sync func(t Target) river.JobArgs) (agreed []Target, err error) {
	defer wrap(&err, "let %s in %s take over what is there", y.App, y.Env)
	return s.agree(ctx, y, question{
		action: ActionAdoptApproved,
		waits:  func(t Target) ([]byte, string) { return t.Adoption, t.AdoptionCode },
		write: func(ctx context.Context, q *query.Queries, t Target, now time.Time) error {
			return q.InsertAdoptYes(ctx, query.InsertAdoptYesParams{
				TargetID: t.ID, Code: y.Code, ActorID: y.By.ID, Actor: y.By.Login, URL: y.URL, CommandID: reference(y.Command), SaidAt: now,
			})
		},
	}, sync)
}

// Adoptable are the uids of the objects to which somebody has said that a target may take
// them over. A yes is to the very object, and no other one ever has its uid: so it has no
// end.
func (s *Store) Adoptable(ctx context.Context, target int64) (uids []string, err error) {
	defer wrap(&err, "read what target %d may take over", target)
	return s.query.AdoptYes(ctx, target)
}
