package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Yes is a person's yes to a list that waits for one, just said.
type Yes struct {
	Repo     int64
	App, Env string
	Code     string // of the list
	By       Actor
	URL      string // of the comment
	Command  int64  // that says it
}

// question is what a list of a target waits for.
type question struct {
	action string                                                                     // of the audit, when it is said
	waits  func(t Target) (list []byte, code string)                                  // "" where nothing waits
	write  func(ctx context.Context, q *query.Queries, t Target, now time.Time) error // that it was said
}

// agree writes down a yes, in every cluster of the app in the environment that shows
// exactly the list that it names, and has those looked at. It returns them.
func (s *Store) agree(ctx context.Context, y Yes, to question, sync func(t Target) river.JobArgs) (agreed []Target, err error) {
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		targets, err := q.LockTargetsOfPair(ctx, query.LockTargetsOfPairParams{RepoID: y.Repo, App: y.App, Env: y.Env})
		if err != nil {
			return err
		}
		delivery, err := deliveryOf(ctx, q, y.Command)
		if err != nil {
			return err
		}
		now := s.now()
		for _, t := range targets {
			list, code := to.waits(t)
			if code == "" || code != y.Code {
				continue
			}
			agreed = append(agreed, t)
			if err := to.write(ctx, q, t, now); err != nil {
				return err
			}
			if err := s.audit(ctx, q, Entry{Actor: y.By, Action: to.action, Delivery: delivery, Inputs: map[string]any{
				"app": y.App, "env": y.Env, "cluster": t.Cluster, "code": y.Code, "list": string(list), "comment": y.URL,
			}}); err != nil {
				return err
			}
		}
		return s.want(ctx, tx, q, agreed, sync)
	})
	return agreed, err
}
