package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tagboat/tagboat/internal/fault"
)

// An object moves from one target to another when Git has it in another overlay, or when
// the app, the environment or the cluster is called otherwise. It stays the same object:
// its new target gets what the old one has applied of it, and the old one forgets it.

// takesOver reports whether the target that an object's marks name has let go of it, and
// has the change take it over then. Only one of the same installation can: nobody knows
// what another one has in its database.
func (p *plan) takesOver(ctx context.Context, ch *change, key, installation string) (bool, error) {
	t := p.run.Target
	if t.LetGo == nil || installation != t.Installation {
		return false, nil
	}
	letGo, err := t.LetGo(ctx, key, idOf(ch.desired))
	if err != nil {
		return false, fault.E(fault.KindOf(err), fmt.Sprintf("%s in cluster %s belongs to another target, %q, and it cannot be found out whether that has let go of it: %s",
			name(ch.desired), p.c.name, key, hintOf(err)), err)
	}
	if letGo {
		ch.former = Target{Key: key, Installation: installation}.FieldManager()
	}
	return letGo, nil
}

// handOver is the JSON patch that gives another manager what the former one of all targets
// has applied of an object, and what one more has (from, "" for nobody); nil where that is
// nothing. What to has applied itself stays its own.
func handOver(live Metadata, to, from string) ([]byte, error) {
	var entries []metav1.ManagedFieldsEntry
	has, found := -1, false
	for _, e := range live.ManagedFields {
		if e.Operation != metav1.ManagedFieldsOperationApply || e.Subresource != "" {
			entries = append(entries, e)
			continue
		}
		handed := e.Manager == formerManager || from != "" && e.Manager == from
		found = found || handed
		if handed {
			e.Manager = to
		}
		if e.Manager == to && has >= 0 {
			// Of two entries of one name the API server would keep one.
			both, err := union(entries[has], e)
			if err != nil {
				return nil, err
			}
			entries[has] = both
			continue
		}
		if e.Manager == to {
			has = len(entries)
		}
		entries = append(entries, e)
	}
	if !found {
		return nil, nil
	}
	return json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/managedFields", "value": entries},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": live.ResourceVersion},
	})
}

// union is an entry for all fields of two.
func union(a, b metav1.ManagedFieldsEntry) (metav1.ManagedFieldsEntry, error) {
	ofA, err := fieldsIn(a)
	if err != nil {
		return a, err
	}
	ofB, err := fieldsIn(b)
	if err != nil {
		return a, err
	}
	text, err := ofA.Union(ofB).ToJSON()
	if err != nil {
		return a, fmt.Errorf("write down the fields that %q manages: %w", a.Manager, err)
	}
	a.FieldsV1 = metav1.NewFieldsV1(string(text))
	return a, nil
}

// Released are those of a target's entries that are none of its own any more: another
// target has the object by now, or somebody has deleted it. There is nothing to delete,
// and nobody to ask.
//
// An error means that nothing is known, as with any look that fails.
func (c *Cluster) Released(ctx context.Context, t Target, entries []Entry) (released []ID, err error) {
	defer fault.Wrap(&err, "look what %s still has in cluster %s", t.Key, c.name)
	p := &pruning{c: c, target: t}
	for _, e := range entries {
		p.removals = append(p.removals, &removal{entry: e})
	}
	if len(p.removals) == 0 {
		return nil, nil
	}
	if err := p.see(ctx); err != nil {
		return nil, err
	}
	for _, r := range p.removals {
		if v, _ := t.judge(r.entry, r.live); v == isForeign || v == isGone {
			released = append(released, r.entry.ID)
		}
	}
	return released, nil
}
