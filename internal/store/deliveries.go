package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Where a delivery came from.
const (
	SourceGitHub       = "github"
	SourceDistribution = "distribution"
	SourceCI           = "ci"
)

// Arrival is a delivery that a door has authenticated.
type Arrival struct {
	Source     string
	DeliveryID string // unique within the source; a redelivery has the same
	Event      string
	Body       []byte
}

// Accept keeps an arrival and the job that will work on it, both or neither. A
// delivery that is known already changes nothing, and fresh is false.
func (s *Store) Accept(ctx context.Context, a Arrival, job func(delivery int64) river.JobArgs) (fresh bool, err error) {
	defer wrap(&err, "accept %s delivery %s", a.Source, a.DeliveryID)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		id, err := q.InsertDelivery(ctx, query.InsertDeliveryParams{
			Source: a.Source, DeliveryID: a.DeliveryID, Event: a.Event, Body: a.Body, ReceivedAt: s.now(),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		fresh = true
		return s.enqueue(ctx, tx, job(id))
	})
	return fresh && err == nil, err
}

// Delivery is one kept delivery.
func (s *Store) Delivery(ctx context.Context, id int64) (_ Delivery, err error) {
	defer wrap(&err, "read delivery %d", id)
	return s.query.Delivery(ctx, id)
}

// FinishDelivery writes down what came of a delivery, and enqueues what follows
// from it, both or neither.
func (s *Store) FinishDelivery(ctx context.Context, id int64, outcome string, jobs ...river.JobArgs) (err error) {
	defer wrap(&err, "finish delivery %d", id)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		now := s.now()
		if err := q.FinishDelivery(ctx, query.FinishDeliveryParams{ID: id, At: &now, Outcome: outcome}); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, jobs...)
	})
}

// RecentDeliveries are the newest deliveries, without their bodies.
func (s *Store) RecentDeliveries(ctx context.Context, most int32) (_ []query.RecentDeliveriesRow, err error) {
	defer wrap(&err, "read deliveries")
	return s.query.RecentDeliveries(ctx, most)
}
