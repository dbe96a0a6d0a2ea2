package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Closing is a person's closing of a promotion's pull request.
type Closing struct {
	By    Actor  // the number is 0 where GitHub does not say who it was
	Owner string // of the env repo
	Why   string // for people
}

// RecordClosedBy ends a promotion whose pull request a person closed, with the others of
// its set, and holds their apps in their environment: Tagboat proposes nothing there by
// itself until somebody asks again. One that is not active any more stays as it is. The
// lock keeps a proposal from slipping in between.
func (s *Store) RecordClosedBy(ctx context.Context, p Promotion, c Closing) (err error) {
	defer wrap(&err, "close promotion %d for %s", p.ID, c.By.Login)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		if err := q.LockMerge(ctx, query.LockMergeParams{RepoID: p.RepoID, Env: p.Env}); err != nil {
			return err
		}
		members, err := lockTogether(ctx, q, p.ID)
		if err != nil {
			return err
		}
		var ended []Promotion
		for _, m := range members {
			rows, err := q.SetClosedBy(ctx, query.SetClosedByParams{ID: m.ID, Message: c.Why, ClosedByID: c.By.ID, ClosedBy: c.By.Login, At: s.now()})
			if err != nil {
				return err
			}
			if rows > 0 {
				ended = append(ended, m)
			}
		}
		for _, m := range ended {
			if err := s.holdClosed(ctx, q, m, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// holdClosed holds the pair of a promotion whose pull request a person closed.
func (s *Store) holdClosed(ctx context.Context, q *query.Queries, p Promotion, c Closing) error {
	now := s.now()
	if err := s.audit(ctx, q, Entry{Actor: c.By, Action: ActionClosed, Promotion: p.ID, SHA: p.SeenHeadSHA, Inputs: map[string]any{"why": c.Why, "pull": p.PullNumber}}); err != nil {
		return err
	}
	// Closing what led back takes the place of the hold that it did not wait for.
	older, err := closedHold(ctx, q, Proposal{Repo: p.RepoID, App: p.App, Env: p.Env})
	if err != nil {
		return err
	}
	if older != nil {
		if err := q.EndClosedHold(ctx, query.EndClosedHoldParams{ID: older.ID, At: &now, By: c.By.Login, PromotionID: &p.ID}); err != nil {
			return err
		}
	}
	held := Scope{Owner: c.Owner, Repo: p.RepoID, Env: p.Env, App: p.App}
	reason := fmt.Sprintf("closed pull request #%d", p.PullNumber)
	if _, err := q.InsertStop(ctx, query.InsertStopParams{
		Owner: held.Owner, RepoID: reference(held.Repo), Env: held.Env, App: held.App, Reason: reason,
		ActorID: c.By.ID, Actor: c.By.Login, URL: p.PullURL, Since: now, ClosedPull: p.PullNumber,
	}); err != nil {
		return err
	}
	return s.audit(ctx, q, Entry{Actor: c.By, Action: ActionStopped, Promotion: p.ID, Inputs: map[string]any{"scope": held, "reason": reason, "pull": p.PullURL}})
}

// ClosedOlder handles a pull request that was closed as that of an older promotion: before
// p, which has taken it over, was asked for, or before p's commit reached it. Whoever
// closed it did not mean p, which begins anew, with a pull request of its own.
func (s *Store) ClosedOlder(ctx context.Context, p Promotion, by Actor, at time.Time, job func(promotion int64) river.JobArgs) (older bool, err error) {
	defer wrap(&err, "look what pull request #%d was closed as", p.PullNumber)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.LockMerge(ctx, query.LockMergeParams{RepoID: p.RepoID, Env: p.Env}); err != nil {
			return err
		}
		now, err := q.LockPromotion(ctx, p.ID)
		if err != nil {
			return err
		}
		if (now.State != "proposed" && now.State != pullOpen) || now.PullNumber != p.PullNumber {
			older = true // somebody was faster
			return nil
		}
		// GitHub tells whole seconds: in the same one, the head decides.
		if !at.Before(p.CreatedAt.Truncate(time.Second)) {
			_, err := q.OwnerOfHead(ctx, query.OwnerOfHeadParams{HeadSHA: p.SeenHeadSHA, RepoID: p.RepoID, PullNumber: p.PullNumber, ID: p.ID})
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		older = true
		if err := errors.Join(q.DetachPull(ctx, p.ID), q.ForgetQueued(ctx, p.ID)); err != nil {
			return err
		}
		if err := s.wake(ctx, tx, q, []Promotion{p}, job); err != nil {
			return err
		}
		return s.audit(ctx, q, Entry{Actor: by, Action: ActionLeftPull, Promotion: p.ID, SHA: p.SeenHeadSHA, Inputs: map[string]any{"pull": p.PullNumber, "closed": at.UTC()}})
	})
	return older && err == nil, err
}

// closedHold is the hold that came of closing the pull request of an (app,
// environment); nil where there is none.
func closedHold(ctx context.Context, q *query.Queries, in Proposal) (*Stop, error) {
	hold, err := q.ClosedHold(ctx, query.ClosedHoldParams{RepoID: reference(in.Repo), Env: in.Env, App: in.App})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &hold, err
}

// askedAgain ends the hold that came of closing a pull request, for a promotion that
// somebody asked for.
func (s *Store) askedAgain(ctx context.Context, q *query.Queries, hold Stop, p Promotion, in Proposal) error {
	now := s.now()
	if err := q.EndClosedHold(ctx, query.EndClosedHoldParams{ID: hold.ID, At: &now, By: in.Requester.Login, PromotionID: &p.ID}); err != nil {
		return err
	}
	return s.audit(ctx, q, Entry{Actor: in.Requester, Action: ActionStopLifted, Promotion: p.ID, Delivery: in.Delivery, Inputs: map[string]any{
		"stop": hold.ID, "stopped by": hold.Actor, "reason": hold.Reason, "asked again": true,
	}})
}

// Leftovers are closed promotions that something is left to be done for.
func (s *Store) Leftovers(ctx context.Context) (_ []Promotion, err error) {
	defer wrap(&err, "read what is left of closed promotions")
	return s.query.Leftovers(ctx)
}
