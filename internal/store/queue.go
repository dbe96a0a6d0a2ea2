package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Queued is where a promotion's pull request stands in a merge queue; zero for one
// that never was in any.
func (s *Store) Queued(ctx context.Context, promotion int64) (_ QueueEntry, err error) {
	defer wrap(&err, "read the queue entry of promotion %d", promotion)
	q, err := s.query.Queued(ctx, promotion)
	if errors.Is(err, pgx.ErrNoRows) {
		return QueueEntry{PromotionID: promotion}, nil
	}
	return q, err
}

// Queued writes down that the pull request was put into the queue, with the evidence
// that this was decided on.
func (m Merging) Queued(ctx context.Context, p Promotion, grounds Grounds) error {
	now := m.store.now()
	if err := m.query.SetQueueEntered(ctx, query.SetQueueEnteredParams{PromotionID: p.ID, HeadSHA: p.SeenHeadSHA, At: &now}); err != nil {
		return err
	}
	return m.store.audit(ctx, m.query, Entry{
		Actor: Actor{ID: p.RequesterID, Login: p.Requester}, Action: ActionQueued, Promotion: p.ID, SHA: p.SeenHeadSHA, Inputs: grounds,
	})
}

// GroupChecked writes down what our check run on a queue's group shows.
func (m Merging) GroupChecked(ctx context.Context, p Promotion, group string, checkRun int64, conclusion, hash string) error {
	if err := m.query.SetQueueCheck(ctx, query.SetQueueCheckParams{PromotionID: p.ID, CheckRunID: checkRun, CheckSHA: group, CheckHash: hash}); err != nil {
		return err
	}
	return m.store.audit(ctx, m.query, Entry{Action: ActionGroup, Promotion: p.ID, SHA: group, Inputs: map[string]any{
		"checkRun": checkRun, "conclusion": conclusion, "shown": hash, "head": p.SeenHeadSHA,
	}})
}

// GroupGone forgets a group that GitHub does not know any more.
func (m Merging) GroupGone(ctx context.Context, p Promotion, group string) error {
	return m.query.DropQueueGroup(ctx, query.DropQueueGroupParams{PromotionID: p.ID, GroupSHA: group})
}

// LeftQueue keeps that GitHub took a pull request with this head out of the queue, and has the
// promotion looked at.
func (s *Store) LeftQueue(ctx context.Context, promotion int64, head string, job river.JobArgs) (err error) {
	defer wrap(&err, "keep that promotion %d left the queue", promotion)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		now := s.now()
		if err := q.SetQueueLeft(ctx, query.SetQueueLeftParams{PromotionID: promotion, HeadSHA: head, At: &now}); err != nil {
			return err
		}
		return s.wake(ctx, tx, q, []Promotion{{ID: promotion}}, func(int64) river.JobArgs { return job })
	})
}

// Group is what a merge queue wants tested: a commit, and what it is built on.
type Group struct{ SHA, Base string }

// SawGroup keeps the group that the queue has built for a promotion, or that it is
// done with it (Base is ""), and has the promotion looked at.
func (s *Store) SawGroup(ctx context.Context, promotion int64, g Group, job river.JobArgs) (err error) {
	defer wrap(&err, "keep group %s of promotion %d", g.SHA, promotion)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		var err error
		if g.Base == "" {
			err = q.DropQueueGroup(ctx, query.DropQueueGroupParams{PromotionID: promotion, GroupSHA: g.SHA})
		} else {
			err = q.SetQueueGroup(ctx, query.SetQueueGroupParams{PromotionID: promotion, GroupSHA: g.SHA, GroupBase: g.Base})
		}
		if err != nil {
			return err
		}
		return s.wake(ctx, tx, q, []Promotion{{ID: promotion}}, func(int64) river.JobArgs { return job })
	})
}
