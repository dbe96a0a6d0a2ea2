package store

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// NewAdoptYes is a person's yes to taking over a list of objects, just said.
type NewAdoptYes struct {
	Repo     int64
	App, Env string
	Code     string // of the list
	By       Actor
	URL      string // of the comment
	Command  int64  // that says it
}

// ApproveAdoption writes down that the objects which the code names may be taken over, in
// every cluster of the app in the environment that shows exactly that list, and has those
// looked at. It returns them.
func (s *Store) ApproveAdoption(ctx context.Context, n NewAdoptYes, sync func(t Target) river.JobArgs) (agreed []Target, err error) {
	defer wrap(&err, "let %s in %s take over what is there", n.App, n.Env)
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
			if t.AdoptionCode == "" || t.AdoptionCode != n.Code {
				continue
			}
			agreed = append(agreed, t)
			if err := q.InsertAdoptYes(ctx, query.InsertAdoptYesParams{
				TargetID: t.ID, Code: n.Code, ActorID: n.By.ID, Actor: n.By.Login, URL: n.URL, CommandID: reference(n.Command), SaidAt: now,
			}); err != nil {
				return err
			}
			if err := s.audit(ctx, q, Entry{Actor: n.By, Action: ActionAdoptApproved, Delivery: delivery, Inputs: map[string]any{
				"app": n.App, "env": n.Env, "cluster": t.Cluster, "code": n.Code, "list": string(t.Adoption), "comment": n.URL,
			}}); err != nil {
				return err
			}
		}
		return s.want(ctx, tx, q, agreed, sync)
	})
	return agreed, err
}

// Adoptable are the uids of the objects to which somebody has said that a target may take
// them over. A yes is to the very object, and no other one ever has its uid: so it has no
// end.
func (s *Store) Adoptable(ctx context.Context, target int64) (uids []string, err error) {
	defer wrap(&err, "read what target %d may take over", target)
	return s.query.AdoptYes(ctx, target)
}
