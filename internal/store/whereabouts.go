package store

import (
	"context"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Whereabouts is what runs where in an env repo, and what is on its way, at one moment.
type Whereabouts struct {
	Running []query.RunningRow // in the order of tagboat.yaml's environments
	Coming  []query.ComingRow
}

// Whereabouts reads what runs where.
func (s *Store) Whereabouts(ctx context.Context, repo int64) (at Whereabouts, err error) {
	defer wrap(&err, "read what runs where in env repo %d", repo)
	err = s.snapshot(ctx, func(q *query.Queries) error {
		if at.Running, err = q.Running(ctx, repo); err != nil {
			return err
		}
		at.Coming, err = q.Coming(ctx, repo)
		return err
	})
	return at, err
}
