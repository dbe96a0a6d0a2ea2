package cluster

import (
	"context"
	"slices"

	"github.com/tagboat/tagboat/internal/fault"
)

// Reconsider looks again at what an inventory keeps although it is not in Git any more.
// It returns the inventory, in which an entry that nothing keeps any more is Written:
// then Prunable judges it like any other. An object that has gone by itself is one of
// those, and so is one that another target has by now: a prune forgets both. What nobody
// can look at, because its API group is away, stays kept. Without kept entries it makes no
// request.
//
// An error means that nothing is known, as with any look that fails.
func (c *Cluster) Reconsider(ctx context.Context, t Target, inventory []Entry) (_ []Entry, err error) {
	defer fault.Wrap(&err, "look at what is kept of %s in cluster %s", t.Key, c.name)
	p := &pruning{c: c, target: t}
	var at []int
	for i, e := range inventory {
		if e.State == Kept {
			p.removals = append(p.removals, &removal{entry: e})
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return inventory, nil
	}
	if err := p.seeSome(ctx); err != nil {
		return nil, err
	}
	inventory = slices.Clone(inventory)
	for i, r := range p.removals {
		e := &inventory[at[i]]
		if r.away != nil {
			continue
		}
		if v, why := t.judge(r.entry, r.live); v == isKept {
			e.Reason = why
		} else {
			e.State, e.Reason = Written, ""
		}
	}
	return inventory, nil
}
