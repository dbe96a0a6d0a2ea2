package store

import (
	"context"
	"strings"
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

// Unreached is a target of a cluster that no process brings.
type Unreached struct {
	Target
	Since time.Time // when one did last; zero: none ever has
}

// Unreached are the targets of clusters that no process brings.
func (s *Store) Unreached(ctx context.Context) (all []Unreached, err error) {
	defer wrap(&err, "read the targets that nobody brings")
	rows, err := s.query.Unreached(ctx, reachFor.Seconds())
	for _, row := range rows {
		all = append(all, Unreached{row.Target, sinceEver(row.Since)})
	}
	return all, err
}

// LastReached is when some process brought a cluster last, zero where none ever has, and
// whether one does now.
func (s *Store) LastReached(ctx context.Context, cluster string) (last time.Time, now bool, err error) {
	defer wrap(&err, "read who brings cluster %s", cluster)
	row, err := s.query.LastReached(ctx, query.LastReachedParams{Cluster: cluster, Seconds: reachFor.Seconds()})
	return sinceEver(row.Since), row.Now, err
}

// sinceEver is zero for the epoch, which stands for never.
func sinceEver(at time.Time) time.Time {
	if at.Unix() <= 0 {
		return time.Time{}
	}
	return at
}

// NobodyServes begins what is said of a target whose cluster some process has brought, and
// none does now. Nothing has failed there; nobody looks.
const NobodyServes = "No Tagboat process serves cluster "

// Unserved reports whether a target waits for a process that serves its cluster. One that
// had failed before says so still, with a note.
func Unserved(t Target) bool {
	return t.State == TargetWaiting && strings.HasPrefix(t.Message, NobodyServes)
}
