package store

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Comparison reads into found what was kept of two commits of a source repository
// ("owner/name"); known is false where nothing was.
func (s *Store) Comparison(ctx context.Context, repo, base, head string, found any) (known bool, err error) {
	defer wrap(&err, "read what lies between %s and %s of %s", base, head, repo)
	return comparison(ctx, s.query, repo, base, head, found)
}

func comparison(ctx context.Context, q *query.Queries, repo, base, head string, found any) (known bool, err error) {
	text, err := q.SourceComparison(ctx, query.SourceComparisonParams{Repo: repo, Base: base, Head: head})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal([]byte(text), found)
}

// KeepComparison keeps what lies between two commits. Where another replica was
// faster, found becomes what that one has kept, so that both show the same.
func (s *Store) KeepComparison(ctx context.Context, repo, base, head string, found any) (err error) {
	defer wrap(&err, "keep what lies between %s and %s of %s", base, head, repo)
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		if err := q.KeepSourceComparison(ctx, query.KeepSourceComparisonParams{
			Repo: repo, Base: base, Head: head, Found: string(text), FoundAt: s.now(),
		}); err != nil {
			return err
		}
		_, err := comparison(ctx, q, repo, base, head, found)
		return err
	})
}
