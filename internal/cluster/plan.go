package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/csaupgrade"

	"github.com/tagboat/tagboat/internal/fault"
)

// plan is one apply under way.
type plan struct {
	c       *Cluster
	target  Target
	changes []*change
}

// change is one object on its way into the cluster.
type change struct {
	stage   stage
	desired Object // a copy of what was rendered, with our annotation and its namespace
	hushed  bool   // nobody may read its values

	mapping   *meta.RESTMapping         // nil as long as the cluster does not know the kind
	api       dynamic.ResourceInterface // of that kind, and namespace
	live      Object                    // nil where there is none
	tried     Object                    // what the dry run came to; nil as long as there was none
	migration []byte                    // JSON patch that gives us what kubectl's client-side apply owned
	waitsFor  error                     // why it cannot be tried yet

	after   Object // as written, or as found where unchanged
	outcome Outcome
}

func newPlan(c *Cluster, t Target, objects []Object) *plan {
	p := &plan{c: c, target: t}
	for _, o := range objects {
		hushed := slices.Contains(t.Secret, o)
		o = o.DeepCopy()
		annotations := o.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[TargetAnnotation] = t.Key
		o.SetAnnotations(annotations)
		p.changes = append(p.changes, &change{stage: stageOf(o), desired: o, hushed: hushed})
	}
	return p
}

// check reads and dry-runs every change that was not tried yet. It leaves alone
// what needs another object of the plan that is not written yet.
func (p *plan) check(ctx context.Context) error {
	if err := p.resolve(); err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(p.c.inFlight)
	errs := make([]error, len(p.changes))
	for i, ch := range p.changes {
		if ch.tried != nil || ch.api == nil {
			continue
		}
		g.Go(func() error {
			errs[i] = p.checkOne(ctx, ch)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs, in the order of the objects
	return all(errs)
}

// resolve finds out how the API server calls each kind, and so which objects
// need a namespace.
func (p *plan) resolve() error {
	missing, err := p.unknownKinds()
	if err != nil {
		return err
	}
	if missing != nil && !p.defines(missing) {
		notKnown := &meta.NoKindMatchError{GroupKind: missing.desired.GroupVersionKind().GroupKind(), SearchedVersions: []string{missing.desired.GroupVersionKind().Version}}
		return p.c.classify(notKnown, action{"apply", missing.desired})
	}
	var known []Object
	for _, ch := range p.changes {
		if ch.mapping != nil {
			known = append(known, ch.desired)
		}
	}
	return refuseDuplicates(known) // two may have become one by the default namespace
}

// unknownKinds maps the kinds that are not mapped yet, with a fresh look if need
// be. It returns a change whose kind the cluster does not know, first of all one
// that nothing in the plan defines.
func (p *plan) unknownKinds() (missing *change, err error) {
	for _, fresh := range []bool{false, true} {
		if fresh {
			p.c.kinds.forget() // what it remembers may be older than the definition
		}
		missing = nil
		for _, ch := range p.changes {
			if ch.mapping != nil {
				continue
			}
			err := p.mapKind(ch)
			switch {
			case meta.IsNoMatchError(err):
				if missing == nil || !p.defines(ch) {
					missing = ch
				}
			case err != nil:
				return nil, err
			}
		}
		if missing == nil {
			return nil, nil
		}
	}
	return missing, nil
}

func (p *plan) mapKind(ch *change) error {
	mapping, err := p.c.kinds.mapping(ch.desired.GroupVersionKind())
	if meta.IsNoMatchError(err) {
		return err
	}
	if err != nil {
		return p.c.classify(err, action{"list the kinds", nil})
	}
	if err := p.setNamespace(ch.desired, mapping); err != nil {
		return err
	}
	ch.mapping, ch.api = mapping, p.c.resource(mapping, ch.desired.GetNamespace())
	if ch.hushed {
		ch.api = hush{ch.api}
	}
	return nil
}

func (p *plan) setNamespace(o Object, mapping *meta.RESTMapping) error {
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		o.SetNamespace("") // some renderers put one on everything
		return nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(p.target.Namespace)
	}
	if o.GetNamespace() == "" {
		return fault.Errorf(fault.Invalid, "%s says no namespace: set namespace: in the kustomization", name(o))
	}
	return nil
}

func (c *Cluster) resource(mapping *meta.RESTMapping, namespace string) dynamic.ResourceInterface {
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.dynamic.Resource(mapping.Resource)
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(namespace)
}

// defines reports whether the plan holds the definition of ch's kind.
func (p *plan) defines(ch *change) bool { return p.definition(ch) != nil }

// definesWritten reports whether that definition is in the cluster by now.
func (p *plan) definesWritten(ch *change) bool {
	d := p.definition(ch)
	return d != nil && d.after != nil
}

func (p *plan) definition(ch *change) *change {
	want := ch.desired.GroupVersionKind().GroupKind()
	for _, other := range p.changes {
		if other.desired.GetKind() != "CustomResourceDefinition" {
			continue
		}
		spec, _ := other.desired.Object["spec"].(map[string]any)
		names, _ := spec["names"].(map[string]any)
		if spec["group"] == want.Group && names["kind"] == want.Kind {
			return other
		}
	}
	return nil
}

// checkOne reads and dry-runs one change.
func (p *plan) checkOne(ctx context.Context, ch *change) error {
	apply := action{"apply", ch.desired}
	live, err := ch.api.Get(ctx, ch.desired.GetName(), metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return p.c.classify(err, action{"read", ch.desired})
	}
	if err == nil {
		if err := p.mayTouch(live); err != nil {
			return err
		}
		if ch.migration, err = csaupgrade.UpgradeManagedFieldsPatch(live, clientSideAppliers, FieldManager); err != nil {
			return fmt.Errorf("read the field managers of %s: %w", name(live), err)
		}
		ch.live = live
	}
	tried, err := p.patch(ctx, ch, patchOptions(true, false))
	if isFieldConflict(err) && onlyClientSideAppliers(err) {
		// The migration will give these fields to us before the real apply; that
		// cannot be dry-run, but what it comes to can.
		tried, err = p.patch(ctx, ch, patchOptions(true, true))
	}
	if apierrors.IsNotFound(err) && p.comes(err) {
		ch.waitsFor = err
		return nil
	}
	if err != nil {
		return p.c.classify(err, apply)
	}
	ch.tried = tried
	return nil
}

// mayTouch refuses an object that is being deleted or belongs to another target.
func (p *plan) mayTouch(live Object) error {
	if live.GetDeletionTimestamp() != nil {
		return fault.Errorf(fault.Conflict, "%s in cluster %s is still being deleted; it is applied anew when it is gone", name(live), p.c.name)
	}
	owner := live.GetAnnotations()[TargetAnnotation]
	if owner == "" || owner == p.target.Key {
		return nil
	}
	return fault.Errorf(fault.Denied, "%s in cluster %s belongs to another target, %q (this one is %q): keep the object in one overlay only, or remove its annotation %s to hand it over",
		name(live), p.c.name, owner, p.target.Key, TargetAnnotation)
}

// comes reports whether what the server does not find is an object of the plan
// that is not written yet, such as the namespace.
func (p *plan) comes(err error) bool {
	status, ok := statusOf(err)
	if !ok || status.Details == nil {
		return false
	}
	d := status.Details
	for _, ch := range p.changes {
		if ch.after != nil || ch.mapping == nil || ch.desired.GetName() != d.Name {
			continue
		}
		if ch.mapping.Resource.GroupResource() == (schema.GroupResource{Group: d.Group, Resource: d.Kind}) {
			return true
		}
	}
	return false
}

func (p *plan) patch(ctx context.Context, ch *change, o metav1.PatchOptions) (Object, error) {
	body, err := json.Marshal(ch.desired.Object)
	if err != nil {
		return nil, err
	}
	return ch.api.Patch(ctx, ch.desired.GetName(), types.ApplyPatchType, body, o)
}

// patchOptions are strict about fields that the kind does not have: a misspelt
// one would be dropped in silence.
func patchOptions(dryRun, force bool) metav1.PatchOptions {
	o := metav1.PatchOptions{FieldManager: FieldManager, FieldValidation: metav1.FieldValidationStrict}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	if force {
		o.Force = &force
	}
	return o
}

// clientSideAppliers are the managers under which kubectl apply, without
// --server-side, leaves its fields. They are taken over once: such an object was
// applied by hand before Tagboat got it, and would otherwise keep every field
// that is ever removed from Git.
var clientSideAppliers = sets.New("kubectl-client-side-apply")

func onlyClientSideAppliers(err error) bool {
	status, ok := statusOf(err)
	if !ok || status.Details == nil {
		return false
	}
	for _, cause := range status.Details.Causes {
		m := conflictingManager.FindStringSubmatch(cause.Message)
		if m == nil || !clientSideAppliers.Has(m[1]) {
			return false
		}
	}
	return true
}
