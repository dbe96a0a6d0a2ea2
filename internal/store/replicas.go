package store

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/jackc/pgx/v5"
)

// Presence shows the other replicas that this one lives: a session lock that
// PostgreSQL drops with the connection, however the process ends.
type Presence struct {
	conn *pgx.Conn
	key  int64
}

// Appear takes the presence lock of a replica. Its connection is not of the
// pool: it has to live as long as the process.
func (s *Store) Appear(ctx context.Context, replica string) (_ *Presence, err error) {
	defer wrap(&err, "appear as replica %s", replica)
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	p := &Presence{conn: conn, key: presenceKey(replica)}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", p.key); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return p, nil
}

// Check asks whether the presence still holds; when it does not, this replica's
// jobs may be taken over by another, and it should stop.
func (p *Presence) Check(ctx context.Context) error { return p.conn.Ping(ctx) }

// Leave gives the presence up.
func (p *Presence) Leave(ctx context.Context) { _ = p.conn.Close(ctx) }

func presenceKey(replica string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("tagboat replica " + replica))
	return int64(h.Sum64()) //nolint:gosec // any 64 bits will do
}

// RescueJobs gives back the jobs of replicas that are gone: those jobs are marked
// running, but nobody runs them. River itself would wait for minutes. It also ends a
// gone replica's leadership, so that periodic work goes on at once.
//
// A replica that is frozen is not gone: its connection holds. What it brings to clusters
// is given back when the lease has ended that it should have renewed; the fence keeps it
// from writing anything when it thaws. Its other jobs are given back by River
// (job.StuckAfter).
func (s *Store) RescueJobs(ctx context.Context) (rescued int64, err error) {
	defer wrap(&err, "rescue the jobs of gone replicas")
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT DISTINCT attempted_by[array_upper(attempted_by, 1)] FROM river.river_job WHERE state = 'running'
			UNION SELECT leader_id FROM river.river_leader`)
		if err != nil {
			return err
		}
		replicas, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		// Before each cluster had a queue, all syncs were in one; nobody works on that any
		// more, and what waits there would keep the same target from every other. The sweep
		// wants them again.
		if _, err := tx.Exec(ctx, `DELETE FROM river.river_job WHERE kind = 'sync' AND queue = 'sync' AND state <> 'running'`); err != nil {
			return err
		}
		for _, replica := range replicas {
			n, err := rescue(ctx, tx, replica)
			if err != nil {
				return fmt.Errorf("replica %s: %w", replica, err)
			}
			rescued += n
		}
		tag, err := tx.Exec(ctx, lapsed)
		rescued += tag.RowsAffected()
		return err
	})
	return rescued, err
}

// lapsed gives back the syncs of those who have neither renewed nor returned their lease.
const lapsed = `
	UPDATE river.river_job j SET state = 'available', scheduled_at = now(), attempt = greatest(j.attempt - 1, 0)
	FROM target t
	WHERE j.state = 'running' AND j.kind = 'sync' AND t.id = (j.args->>'target')::bigint
		AND split_part(t.leased_by, ' ', 1) = j.attempted_by[array_upper(j.attempted_by, 1)] AND t.leased_until < clock_timestamp()`

func rescue(ctx context.Context, tx pgx.Tx, replica string) (int64, error) {
	var gone bool
	// The lock is free only if the replica's session is. It is held until the
	// end of tx, so that the replica cannot appear in between.
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", presenceKey(replica)).Scan(&gone); err != nil || !gone {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `
		UPDATE river.river_job SET state = 'available', scheduled_at = now(), attempt = greatest(attempt - 1, 0)
		WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $1`, replica)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM river.river_leader WHERE leader_id = $1`, replica)
	return tag.RowsAffected(), err
}
