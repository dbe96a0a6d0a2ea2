package store

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Retrying is an app in an environment that a person wants looked at again.
type Retrying struct {
	Repo     int64
	App, Env string
	By       Actor
	Delivery int64
}

// Woken is how much is looked at again.
type Woken struct{ Promotions, Clusters int }

// Retry has the promotions of an app in an environment looked at again, its clusters
// asked again what they would say to it, and brought again to what they should have.
func (s *Store) Retry(ctx context.Context, r Retrying, reconcile func(promotion int64) river.JobArgs, sync func(t Target) river.JobArgs) (woken Woken, err error) {
	defer wrap(&err, "retry %s in %s", r.App, r.Env)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		promotions, err := q.PromotionsOfPair(ctx, query.PromotionsOfPairParams{RepoID: r.Repo, App: r.App, Env: r.Env})
		if err != nil {
			return err
		}
		for _, p := range promotions {
			if err := q.AgeDryRuns(ctx, p.ID); err != nil {
				return err
			}
		}
		if err := s.wake(ctx, tx, q, promotions, reconcile); err != nil {
			return err
		}
		if err := s.audit(ctx, q, Entry{Actor: r.By, Action: ActionRetried, Delivery: r.Delivery, Inputs: map[string]any{"app": r.App, "env": r.Env}}); err != nil {
			return err
		}
		targets, err := q.TargetsOfPair(ctx, query.TargetsOfPairParams{RepoID: r.Repo, App: r.App, Env: r.Env})
		if err != nil {
			return err
		}
		if err := s.want(ctx, tx, q, targets, sync); err != nil {
			return err
		}
		woken = Woken{len(promotions), len(targets)}
		for _, p := range promotions {
			if p.LedBy != nil {
				promotions = append(promotions, Promotion{ID: *p.LedBy})
			}
		}
		return hasten(ctx, tx, promotions, targets)
	})
	return woken, err
}

// hasten has jobs that wait for their next attempt worked on now: the queue takes no
// second one of them.
func hasten(ctx context.Context, tx pgx.Tx, promotions []Promotion, targets []Target) error {
	var reconciles, syncs []int64
	for _, p := range promotions {
		reconciles = append(reconciles, p.ID)
	}
	for _, t := range targets {
		syncs = append(syncs, t.ID)
	}
	_, err := tx.Exec(ctx, `
		UPDATE river.river_job SET state = 'available', scheduled_at = now()
		WHERE state IN ('retryable', 'scheduled')
		  AND (kind = 'reconcile' AND (args->>'promotion')::bigint = ANY ($1) OR kind = 'sync' AND (args->>'target')::bigint = ANY ($2))`, reconciles, syncs)
	return err
}
