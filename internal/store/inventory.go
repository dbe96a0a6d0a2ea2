package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store/query"
)

// Stock is one object of a target's inventory.
type Stock = query.Inventory

// StockID names an object of an inventory.
type StockID struct{ Group, Kind, Namespace, Name string }

// ErrTakenOver says that another attempt has a target now: whoever meets it may not
// write to the target's cluster any more.
var ErrTakenOver = fault.E(fault.Transient, "", errors.New("another attempt has taken the target over"))

// Installation is the name of the Tagboat that this database belongs to, and what keys
// its hashes of what it applies.
func (s *Store) Installation(ctx context.Context) (name string, salt []byte, err error) {
	defer wrap(&err, "read the name of this installation")
	row, err := s.query.Installation(ctx)
	return row.Name, row.Salt, err
}

// Inventory is all that was ever written for a target and not deleted again.
func (s *Store) Inventory(ctx context.Context, target int64) (_ []Stock, err error) {
	defer wrap(&err, "read the inventory of target %d", target)
	return s.query.Inventory(ctx, target)
}

// StockPlaces are the kinds and namespaces of all that was written to a cluster.
func (s *Store) StockPlaces(ctx context.Context, cluster string) (places []Stock, err error) {
	defer wrap(&err, "read what cluster %s has", cluster)
	rows, err := s.query.InventoryPlaces(ctx, cluster)
	for _, r := range rows {
		places = append(places, Stock{ApiGroup: r.ApiGroup, Kind: r.Kind, Version: r.Version, Namespace: r.Namespace})
	}
	return places, err
}

// TargetsOfCluster are what is brought to a cluster.
func (s *Store) TargetsOfCluster(ctx context.Context, cluster string) (_ []Target, err error) {
	defer wrap(&err, "read the targets of cluster %s", cluster)
	return s.query.TargetsOfCluster(ctx, cluster)
}

// KeepStock inserts or replaces entries of the inventory of t. Its error is
// ErrTakenOver where t.Fence is not the newest any more.
func (s *Store) KeepStock(ctx context.Context, t Target, entries []Stock) (err error) {
	defer wrap(&err, "keep %d entries of the inventory of target %d", len(entries), t.ID)
	p := query.KeepEntriesParams{TargetID: t.ID}
	for _, e := range entries {
		p.ApiGroups, p.Kinds = append(p.ApiGroups, e.ApiGroup), append(p.Kinds, e.Kind)
		p.Namespaces, p.Names = append(p.Namespaces, e.Namespace), append(p.Names, e.Name)
		p.Versions, p.Uids = append(p.Versions, e.Version), append(p.Uids, e.Uid)
		p.Hashes, p.Fingerprints = append(p.Hashes, e.Hash), append(p.Fingerprints, e.Fingerprint)
		p.States, p.Reasons = append(p.States, e.State), append(p.Reasons, e.Reason)
	}
	return s.fenced(ctx, t, func(q *query.Queries) error { return q.KeepEntries(ctx, p) })
}

// ForgetStock removes entries of the inventory of t, as KeepStock inserts them.
func (s *Store) ForgetStock(ctx context.Context, t Target, ids []StockID) (err error) {
	defer wrap(&err, "forget %d entries of the inventory of target %d", len(ids), t.ID)
	p := query.ForgetEntriesParams{TargetID: t.ID}
	for _, id := range ids {
		p.ApiGroups, p.Kinds = append(p.ApiGroups, id.Group), append(p.Kinds, id.Kind)
		p.Namespaces, p.Names = append(p.Namespaces, id.Namespace), append(p.Names, id.Name)
	}
	return s.fenced(ctx, t, func(q *query.Queries) error { return q.ForgetEntries(ctx, p) })
}

// Counted writes down that the inventory of t was compared with the cluster.
func (s *Store) Counted(ctx context.Context, t Target) (err error) {
	defer wrap(&err, "note when the inventory of target %d was counted", t.ID)
	now := s.now()
	return s.fenced(ctx, t, func(q *query.Queries) error {
		return q.SetCounted(ctx, query.SetCountedParams{ID: t.ID, Fence: t.Fence, At: &now})
	})
}

// fenced runs f while t's attempt is the newest, and nobody can begin another.
func (s *Store) fenced(ctx context.Context, t Target, f func(q *query.Queries) error) error {
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		fence, err := q.HoldsFence(ctx, t.ID)
		if err != nil {
			return err
		}
		if fence != t.Fence {
			return ErrTakenOver
		}
		return f(q)
	})
}

// Suspect wants a target looked at closely: somebody may have changed what was
// applied.
func (s *Store) Suspect(ctx context.Context, t Target, sync func(t Target) river.JobArgs) (err error) {
	defer wrap(&err, "suspect target %d", t.ID)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.SuspectTarget(ctx, t.ID); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, sync(t))
	})
}
