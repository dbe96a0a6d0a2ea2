package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// SwapSpending replaces what is kept of an installation's spending if it is still
// the version seen, 0 for nothing yet. It gives what is kept now, and whether that
// is the replacement.
func (s *Store) SwapSpending(ctx context.Context, installation, seen int64, next []byte) (version int64, now []byte, swapped bool, err error) {
	defer wrap(&err, "keep what installation %d has spent", installation)
	row, err := s.query.SwapSpending(ctx, query.SwapSpendingParams{InstallationID: installation, Seen: seen, Spent: next})
	if errors.Is(err, pgx.ErrNoRows) {
		// Another replica was first at this moment; what it has kept can be seen next time.
		return 0, nil, false, nil
	}
	return row.Version, row.Spent, row.Swapped, err
}
