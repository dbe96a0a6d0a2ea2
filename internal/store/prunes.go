package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// PruneYes is a person's yes to the deletion of a list.
type PruneYes = query.PruneYe

// NewPruneYes is one that was just said.
type NewPruneYes struct {
	Repo     int64
	App, Env string
	Code     string // of the list
	By       Actor
	URL      string // of the comment
	Command  int64  // that says it
}

// ApprovePrune writes down that what the code names may be deleted, in every cluster of
// the app in the environment that shows exactly that list, and has those looked at. It
// returns them.
func (s *Store) ApprovePrune(ctx context.Context, n NewPruneYes, sync func(t Target) river.JobArgs) (agreed []Target, err error) {
	defer wrap(&err, "let %s in %s be pruned", n.App, n.Env)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		targets, err := q.LockTargetsOfPair(ctx, query.LockTargetsOfPairParams{RepoID: n.Repo, App: n.App, Env: n.Env})
		if err != nil {
			return err
		}
		delivery, err := deliveryOf(ctx, q, n.Command)
		if err != nil {
			return err
		}
		now := s.now()
		for _, t := range targets {
			if t.SurplusCode == "" || t.SurplusCode != n.Code {
				continue
			}
			agreed = append(agreed, t)
			if err := q.InsertPruneYes(ctx, query.InsertPruneYesParams{
				TargetID: t.ID, Code: n.Code, ActorID: n.By.ID, Actor: n.By.Login, URL: n.URL, CommandID: reference(n.Command), SaidAt: now,
			}); err != nil {
				return err
			}
			if err := s.audit(ctx, q, Entry{Actor: n.By, Action: ActionPruneApproved, Delivery: delivery, Inputs: map[string]any{
				"app": n.App, "env": n.Env, "cluster": t.Cluster, "code": n.Code, "list": string(t.Surplus), "comment": n.URL,
			}}); err != nil {
				return err
			}
		}
		return s.want(ctx, tx, q, agreed, sync)
	})
	return agreed, err
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
