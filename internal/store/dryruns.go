package store

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// The outcomes of a dry run.
const (
	DryRunAccepted = "accepted" // the cluster would take every object
	DryRunRefused  = "refused"  // it would not
	DryRunUnclear  = "unclear"  // it did not say of all of them
)

// NewDryRun is what a cluster answered.
type NewDryRun struct {
	Cluster  string
	Rendered string // hash of what was tried
	Outcome  string
	Objects  []byte // JSON
	Message  string // why nothing is known of the objects
	At       time.Time
}

// RecordDryRun keeps a promotion's newest dry run in a cluster. The audit log tells of
// one that says something else than the one before.
func (s *Store) RecordDryRun(ctx context.Context, promotion int64, n NewDryRun) (err error) {
	defer wrap(&err, "record the dry run of promotion %d in cluster %s", promotion, n.Cluster)
	n.Message, n.Objects = said(n.Message), saidJSON(n.Objects)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		p, err := q.LockPromotion(ctx, promotion)
		if err != nil {
			return err
		}
		known, err := q.DryRun(ctx, query.DryRunParams{PromotionID: promotion, Cluster: n.Cluster})
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := q.UpsertDryRun(ctx, query.UpsertDryRunParams{
			PromotionID: promotion, Cluster: n.Cluster, Rendered: n.Rendered, Outcome: n.Outcome, Objects: n.Objects, Message: n.Message, TriedAt: n.At,
		}); err != nil {
			return err
		}
		if known.Rendered == n.Rendered && known.Outcome == n.Outcome && known.Message == n.Message && bytes.Equal(known.Objects, n.Objects) {
			return nil
		}
		return s.audit(ctx, q, Entry{Action: ActionDryRun, Promotion: promotion, SHA: p.SeenHeadSHA, Inputs: map[string]any{
			"cluster": n.Cluster, "rendered": n.Rendered, "outcome": n.Outcome, "message": n.Message,
		}})
	})
}

// DryRuns are a promotion's newest dry runs, one of each cluster.
func (s *Store) DryRuns(ctx context.Context, promotion int64) (_ []DryRun, err error) {
	defer wrap(&err, "read the dry runs of promotion %d", promotion)
	return s.query.DryRuns(ctx, promotion)
}
