package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// wantLater wants the clusters of later waves looked at, in the transaction that
// changes t: what they wait for may have come, or may have failed.
//
// Whether they wait is not asked. One of them may be finding out right now that it
// has to, from what t was before; it looks once more, because it was wanted meanwhile.
func (s *Store) wantLater(ctx context.Context, tx pgx.Tx, q *query.Queries, t Target, sync func(t Target) river.JobArgs) error {
	if t.Wave == 0 {
		return nil
	}
	pair, err := q.LockTargetsOfPair(ctx, query.LockTargetsOfPairParams{RepoID: t.RepoID, App: t.App, Env: t.Env})
	if err != nil {
		return err
	}
	later := slices.DeleteFunc(pair, func(other Target) bool { return other.Wave <= t.Wave })
	return s.want(ctx, tx, q, later, sync)
}
