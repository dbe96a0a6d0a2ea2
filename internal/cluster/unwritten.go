package cluster

import (
	"context"
	"slices"

	"github.com/tagboat/tagboat/internal/fault"
)

// ForgetUnwritten has the ledger forget what was only ever intended: objects that the
// inventory is about to write, that are not in Git any more, and that the cluster does
// not have. An attempt that was broken off, or superseded, leaves such entries. They are
// nothing that could be deleted, so nobody has to say yes to that, and they count for
// nothing where Prunable asks how much of the inventory would go at once.
//
// It returns what is left of the inventory. An object that is there stays in it, also
// where nobody has heard that it was written. It makes no request without such entries,
// and forgets none unless all could be looked at.
//
// An error means that nothing was forgotten: it is that of the look, or of the ledger.
func (c *Cluster) ForgetUnwritten(ctx context.Context, t Target, l Ledger, inventory []Entry, objects []Object) (_ []Entry, err error) {
	defer fault.Wrap(&err, "look for what was only intended of %s in cluster %s", t.Key, c.name)
	p := &pruning{c: c, target: t}
	for _, e := range surplusOf(inventory, objects) {
		if e.State == Intended {
			p.removals = append(p.removals, &removal{entry: e})
		}
	}
	if len(p.removals) == 0 {
		return inventory, nil
	}
	if err := p.see(ctx); err != nil {
		return nil, err
	}
	var never []ID
	for _, r := range p.removals {
		if r.live == nil {
			never = append(never, r.entry.ID)
		}
	}
	if len(never) == 0 {
		return inventory, nil
	}
	if err := l.Forget(ctx, never); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(inventory), func(e Entry) bool { return slices.Contains(never, e.ID) }), nil
}
