package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// reachFor is how long a process that says nothing counts as one that brings its
// clusters. It says so every few seconds; but it may be starting anew.
const reachFor = 2 * time.Minute

// reachNow is how long it counts as one that can be asked something.
const reachNow = 30 * time.Second

// Reach shows the others which clusters a replica brings, in the place of what it said
// before.
func (s *Store) Reach(ctx context.Context, replica string, clusters []string) (err error) {
	defer wrap(&err, "tell which clusters replica %s brings", replica)
	if clusters == nil {
		clusters = []string{} // NULL is in no comparison
	}
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		if err := q.ForgetReach(ctx, query.ForgetReachParams{Replica: replica, Clusters: clusters, Seconds: reachFor.Seconds()}); err != nil {
			return err
		}
		return q.Reach(ctx, query.ReachParams{Replica: replica, Clusters: clusters})
	})
}

// Reached are those of clusters that some process brings.
func (s *Store) Reached(ctx context.Context, clusters []string) (_ []string, err error) {
	defer wrap(&err, "read which clusters are reached")
	return s.query.Reached(ctx, query.ReachedParams{Clusters: clusters, Seconds: reachNow.Seconds()})
}

// Unreached are the targets of clusters that no process brings.
func (s *Store) Unreached(ctx context.Context) (_ []Target, err error) {
	defer wrap(&err, "read the targets that nobody brings")
	return s.query.Unreached(ctx)
}
