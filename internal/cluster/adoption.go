package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/tagboat/tagboat/internal/fault"
)

// Git may have an object that the cluster has already, and that nobody deploys: somebody
// has made it by hand, or a script has. What runs may rest on how it is, which stands
// nowhere else, and no revert brings it back. So where an apply would change it, it asks
// first, and writes nothing until a person has said yes. What is as Git has it is taken
// over without a question.

// Adoption has an apply ask before it takes over and changes what is nobody's.
type Adoption struct {
	Agreed map[string]bool // the uids of those objects that it may take over
}

// Adoptee is a live object that is nobody's, and that an apply would change. It holds no
// secrets: it is kept and shown as it is.
type Adoptee struct {
	Object  string        `json:"object"` // "Deployment payments/api"
	UID     string        `json:"uid"`
	Changes []FieldChange `json:"changes,omitempty"` // what the apply would make of it
	More    int           `json:"more,omitempty"`    // changes that are left out
}

// Unadopted is in the error of an apply that has to ask before it goes on.
type Unadopted struct{ Objects []Adoptee }

func (u *Unadopted) Error() string {
	var names []string
	for _, o := range u.Objects {
		names = append(names, o.Object)
	}
	return "nobody has said yes to taking over " + strings.Join(names, ", ")
}

// ask is an error (see Unadopted) where changes that were tried would take over what is
// nobody's, and change it, and nobody has agreed to that.
func (p *plan) ask(ctx context.Context, changes []*change) error {
	if p.run.Adopt == nil {
		return nil
	}
	changes = slices.DeleteFunc(slices.Clone(changes), func(ch *change) bool {
		return ch.would == nil || ch.after != nil || ch.asked || p.needsNoYes(ch)
	})
	if len(changes) == 0 {
		return nil
	}
	hush := hushOf(p.run.Objects, p.run.Target.Secret)
	var g errgroup.Group
	g.SetLimit(p.c.inFlight)
	found, errs := make([]*Adoptee, len(changes)), make([]error, len(changes))
	for i, ch := range changes {
		g.Go(func() error {
			found[i], errs[i] = p.lookAt(ctx, ch, hush)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs, in the order of the objects
	if err := all(errs); err != nil {
		return err
	}
	var stray Unadopted
	for i, a := range found {
		if changes[i].asked = a == nil; a == nil {
			continue
		}
		if len(stray.Objects) >= maxDrifted { // nobody reads that far
			a.Changes, a.More = nil, a.More+len(a.Changes)
		}
		stray.Objects = append(stray.Objects, *a)
	}
	if len(stray.Objects) == 0 {
		return nil
	}
	what := stray.Objects[0].Object
	if more := len(stray.Objects) - 1; more > 0 {
		what += fmt.Sprintf(" and %d more", more)
	}
	return fault.E(fault.Denied, p.c.hint("has %s already, which Tagboat has not made and would change: a person has to say yes to that first", what), &stray)
}

// needsNoYes reports whether it is known without another look that nobody has to be asked
// about a change: there is no such object, it is the target's or comes from another one of
// ours, or somebody has agreed. (A hook's Job never takes another one's place.)
func (p *plan) needsNoYes(ch *change) bool {
	if !ch.exists || ch.seen != nil || ch.hook || ch.former != "" {
		return true
	}
	uid := string(ch.would.UID)
	return p.entries[idOf(ch.desired)].UID == uid || p.run.Adopt.Agreed[uid]
}

// lookAt reads an object that nobody may have, and tells what would become of it; nil
// where nothing would, or where it turns out to be the target's.
func (p *plan) lookAt(ctx context.Context, ch *change, hush []string) (*Adoptee, error) {
	live, err := ch.whatIsThere(ctx)
	if apierrors.IsNotFound(err) {
		return nil, fault.Errorf(fault.Conflict, "%s in cluster %s has just been deleted; it is looked at again", name(ch.desired), p.c.name)
	}
	if err != nil {
		return nil, p.c.classify(err, action{"read", ch.desired})
	}
	tried, err := p.tryWhole(ctx, ch)
	if err != nil {
		return nil, p.c.classify(err, action{"apply", ch.desired})
	}
	return p.adoptee(ctx, ch, live, tried, hush)
}

func (p *plan) tryWhole(ctx context.Context, ch *change) (tried Object, err error) {
	err = again(ctx, func() (err error) {
		tried, err = ch.api.Patch(ctx, ch.desired.GetName(), types.ApplyPatchType, ch.body("", ""), p.patchOptions(true, ch.force || ch.migration != nil))
		return err
	})
	return tried, err
}

// adoptee compares a live object with what an apply would make of it. hush are texts that
// nobody may read.
func (p *plan) adoptee(ctx context.Context, ch *change, live, tried Object, hush []string) (*Adoptee, error) {
	if p.hasApplied(live) {
		return nil, nil
	}
	found, err := changes(p.manager(), live, tried)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, FieldChange.isMark)
	if ch.migration != nil {
		lost, err := p.lost(ctx, ch, live, tried)
		if err != nil {
			return nil, err
		}
		found = append(found, lost...)
	}
	if len(found) == 0 {
		return nil, nil
	}
	a := &Adoptee{Object: name(live), UID: string(live.GetUID()), Changes: found}
	if more := len(found) - maxChanges; more > 0 {
		a.Changes, a.More = found[:maxChanges], more
	}
	hush = slices.Concat(secretsOf([]Object{live}), hush)
	for i := range a.Changes {
		a.Changes[i].discreet(ch.hushed || strings.HasSuffix(live.GetKind(), "Secret"), hush)
	}
	return a, nil
}

// hasApplied reports whether an object shows that the target has applied it, or an earlier
// Tagboat. Labels show nothing: they are copied.
func (p *plan) hasApplied(live Object) bool {
	a := live.GetAnnotations()
	if p.ours(live) || a[TargetAnnotation] == p.run.Target.Key && a[InstallationAnnotation] == "" {
		return true
	}
	return slices.ContainsFunc(live.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Operation == metav1.ManagedFieldsOperationApply && (e.Manager == p.manager() || e.Manager == formerManager)
	})
}

// isMark reports whether a change is that of a mark of ours.
func (c FieldChange) isMark() bool {
	if len(c.steps) != 3 || c.steps[0].name != "metadata" {
		return false
	}
	switch c.steps[1].name {
	case "annotations":
		return slices.Contains([]string{TargetAnnotation, InstallationAnnotation, EpochAnnotation}, c.steps[2].name)
	case "labels":
		return c.steps[2].name == TargetLabel
	}
	return false
}

// lastApplied is where kubectl apply keeps what it has applied. It is left there.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// lost are the fields that a migration takes from an object: what kubectl has applied
// becomes the target's, and goes where Git does not have it, and nobody else has it, either.
// Of those that the API server fills in by itself it is asked what they would be then.
func (p *plan) lost(ctx context.Context, ch *change, live, tried Object) (found []FieldChange, err error) {
	paths, err := p.onlyApplied(live, tried)
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	rest := any(tried.DeepCopy().Object)
	for _, path := range paths {
		rest, _ = without(rest, path)
	}
	settled, err := p.settled(ctx, ch, live, rest.(map[string]any))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		is, there, steps := at(live.Object, path)
		if !there {
			continue
		}
		c := FieldChange{Path: printed(steps), Is: text(is), steps: steps}
		if filled, ok, _ := at(settled, path); ok {
			if c.Want = text(filled); c.Want == c.Is {
				continue
			}
		}
		c.credit(live, p.manager(), path)
		found = append(found, c)
	}
	return found, nil
}

// onlyApplied are the fields of an object that only kubectl apply has, and Git has not: whole
// parts of it where nothing in them stays.
func (p *plan) onlyApplied(live, tried Object) (paths []fieldpath.Path, err error) {
	keep, err := owned(tried, p.manager())
	if err != nil {
		return nil, err
	}
	applied := fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		set, err := fieldsIn(entry)
		if err != nil {
			return nil, err
		}
		if clientSideAppliers.Has(entry.Manager) && entry.Operation == metav1.ManagedFieldsOperationUpdate && entry.Subresource == "" {
			applied = applied.Union(set)
		} else {
			keep = keep.Union(set)
		}
	}
	var kept []fieldpath.Path
	for path := range keep.All() {
		kept = append(kept, path.Copy())
	}
	within := func(path, whole fieldpath.Path) bool {
		return len(path) >= len(whole) && whole.Equals(path[:len(whole)])
	}
	own := fieldpath.MakePathOrDie("metadata", "annotations", lastApplied)
	for path := range applied.All() { // what is whole comes before what is in it
		if path.Equals(own) || slices.ContainsFunc(kept, func(k fieldpath.Path) bool { return within(k, path) }) ||
			slices.ContainsFunc(paths, func(whole fieldpath.Path) bool { return within(path, whole) }) {
			continue
		}
		paths = append(paths, path.Copy())
	}
	return paths, nil
}

// settled is what the API server would make of an object's content: its defaults filled in,
// where it takes it.
func (p *plan) settled(ctx context.Context, ch *change, live Object, content map[string]any) (map[string]any, error) {
	var ops []map[string]any
	for _, key := range slices.Sorted(maps.Keys(live.Object)) {
		at := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		value, stays := content[key]
		switch {
		case slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, key): // have no defaults
		case stays:
			ops = append(ops, map[string]any{"op": "replace", "path": at, "value": value})
		default:
			ops = append(ops, map[string]any{"op": "remove", "path": at})
		}
	}
	if len(ops) == 0 {
		return content, nil
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		return nil, fmt.Errorf("write down what would become of %s: %w", name(ch.desired), err)
	}
	var filled Object
	err = again(ctx, func() (err error) {
		filled, err = ch.api.Patch(ctx, ch.desired.GetName(), types.JSONPatchType, patch, p.patchOptions(true, false))
		return err
	})
	if err != nil {
		if err = p.c.classify(err, action{"try", ch.desired}); fault.KindOf(err).Retryable() {
			return nil, err
		}
		return content, nil // nobody knows: what is not in Git is told as going
	}
	filled.Object["metadata"], filled.Object["status"] = content["metadata"], content["status"]
	return filled.Object, nil
}
