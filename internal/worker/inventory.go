package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/store"
)

// ledger keeps the inventory of a target in PostgreSQL, as long as the attempt holds
// the target.
type ledger struct {
	store  *store.Store
	target store.Target
}

// Keep inserts or replaces entries.
func (l ledger) Keep(ctx context.Context, entries []cluster.Entry) error {
	stock := make([]store.Stock, 0, len(entries))
	for _, e := range entries {
		stock = append(stock, store.Stock{
			TargetID: l.target.ID, ApiGroup: e.Group, Kind: e.Kind, Namespace: e.Namespace, Name: e.Name,
			Version: e.Version, Uid: e.UID, Hash: e.Hash, Fingerprint: e.Fingerprint, State: string(e.State), Reason: e.Reason,
		})
	}
	return l.store.KeepStock(ctx, l.target, stock)
}

// Forget removes entries.
func (l ledger) Forget(ctx context.Context, ids []cluster.ID) error {
	var stock []store.StockID
	for _, id := range ids {
		stock = append(stock, store.StockID(id))
	}
	return l.store.ForgetStock(ctx, l.target, stock)
}

func (l ledger) entries(ctx context.Context) ([]cluster.Entry, error) {
	stock, err := l.store.Inventory(ctx, l.target.ID)
	if err != nil {
		return nil, err
	}
	entries := make([]cluster.Entry, 0, len(stock))
	for _, s := range stock {
		entries = append(entries, cluster.Entry{
			ID:      cluster.ID{Group: s.ApiGroup, Kind: s.Kind, Namespace: s.Namespace, Name: s.Name},
			Version: s.Version, UID: s.Uid, Hash: s.Hash, Fingerprint: s.Fingerprint, State: cluster.EntryState(s.State), Reason: s.Reason,
		})
	}
	return entries, nil
}

// namespacesOf are those in which a target may have objects, as far as anybody knows.
func namespacesOf(objects []cluster.Object, known []cluster.Entry) []string {
	in := map[string]bool{}
	for _, o := range objects {
		in[o.GetNamespace()] = true
	}
	for _, e := range known {
		in[e.Namespace] = true
	}
	delete(in, "") // of what is cluster-wide
	return slices.Sorted(maps.Keys(in))
}

// countEvery is how often an inventory is compared with the labels in the cluster. A
// database that was restored from a backup does not know what was made since.
const countEvery = 24 * time.Hour

// inventory is what the target has in the cluster, as far as anybody knows. Now and
// then, and before anything is known, that is read off the cluster: what is found there
// and in no row is entered, and nothing is struck out.
func (w *Worker) inventory(ctx context.Context, s *syncing, t store.Target) ([]cluster.Entry, error) {
	l := ledger{w.Store, t}
	known, err := l.entries(ctx)
	if err != nil {
		return nil, err
	}
	if counted := moment(t.CountedAt); !counted.IsZero() && w.Now().Sub(counted) < countEvery {
		return s.door.Reconsider(ctx, s.target, known)
	}
	found, err := s.door.Rebuild(ctx, s.target, namespacesOf(s.objects, known))
	if err != nil {
		return nil, err
	}
	// It counts as counted all the same, until tomorrow: of what may never be listed, and of
	// an API that is down for long, everything would be applied anew at every look.
	for _, gap := range found.Unseen {
		w.Log.WarnContext(ctx, "an inventory could not be counted whole", "target", t.ID, "cluster", t.Cluster, "why", gap)
	}
	has := map[cluster.ID]bool{}
	for _, e := range known {
		has[e.ID] = true
	}
	var lost []cluster.Entry
	for _, e := range found.Entries {
		if !has[e.ID] {
			lost = append(lost, e)
		}
	}
	if len(lost) > 0 {
		w.Log.InfoContext(ctx, "the cluster has objects that the inventory did not know", "target", t.ID, "cluster", t.Cluster, "objects", len(lost))
		if err := l.Keep(ctx, lost); err != nil {
			return nil, err
		}
	}
	if err := w.Store.Counted(ctx, t); err != nil {
		return nil, err
	}
	return s.door.Reconsider(ctx, s.target, append(known, lost...))
}
