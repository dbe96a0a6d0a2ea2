package cluster

import (
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"github.com/tagboat/tagboat/internal/fault"
)

// plan is one apply, or one dry run, under way.
type plan struct {
	c       *Cluster
	run     Run
	entries map[ID]Entry // the inventory
	exempt  *exemptions
	changes []*change                  // in the order of the objects
	written []*change                  // in the order of writing, the unchanged ones where they would have been written
	leaving map[string]error           // namespaces that are being deleted, with what is told of that
	away    map[schema.GroupKind]error // kinds whose API group is away; they are asked for once

	whole       bool   // dry runs are asked for whole objects, and not for their metadata alone
	contentHash string // of all that is rendered; "" as long as nobody asked
}

// change is one object on its way into the cluster.
type change struct {
	step    step
	hook    bool   // a Job that runs once for each content of the target
	desired Object // a copy of what was rendered, with our marks and its namespace
	hushed  bool   // nobody may read its values

	mapping *meta.RESTMapping         // nil as long as the cluster does not know the kind
	api     dynamic.ResourceInterface // of that kind, and namespace
	light   metadata.ResourceInterface
	meta    []byte // the desired metadata as JSON
	rest    []byte // everything else of it
	less    bool   // both are without the fields that are left to others
	hash    string // keyed, of both, nothing left out

	seen      Metadata // as the LIST showed it; nil where the target has no such object
	would     Metadata // what the dry run came to; nil as long as there was none
	exists    bool     // found out by the dry run
	isNew     bool     // did not exist before this run
	force     bool     // others' fields are taken
	migration []byte   // JSON patch that gives us what somebody owned whose place we take
	former    string   // field manager of the target that it is taken over from; "" of nobody
	asked     bool     // as it was tried, it changes nothing that is nobody's, unless a person has agreed
	recreate  bool     // it cannot be changed in place, and may be made anew
	waitsFor  error    // why it cannot be tried yet
	held      error    // why it is left out of this run, while everything else goes on; nil where it is not
	wayOut    string   // for people, where it cannot be changed in place
	whole     Object   // what the dry run came to, if that was asked for

	intended bool   // the ledger knows
	after    Object // as applied; nil as long as it is not
	done     Object // the same, while others are being written
	entry    Entry  // for the ledger, once it is applied
	outcome  Outcome
	at       time.Time // when it was written
	hasRun   bool      // a hook that has run for this content before
	made     types.UID // of the Job that this run has made for a hook, unless that has failed
	calm     bool      // was seen to be current
	listed   bool      // is in the plan's written
}

// newPlan reads what the objects say of their order, and leaves out hooks of other
// occasions.
func newPlan(c *Cluster, r Run) (*plan, error) {
	p := &plan{c: c, run: r, entries: map[ID]Entry{}, exempt: c.exempt(r.Target, r.Objects, r.Ignore), leaving: map[string]error{}, away: map[schema.GroupKind]error{}}
	for _, e := range r.Inventory {
		p.entries[e.ID] = e
	}
	var errs []error
	for _, o := range r.Objects {
		s, hook, applies, err := stepOf(o)
		if err != nil {
			errs = append(errs, err)
		}
		if !applies {
			continue
		}
		hushed := slices.Contains(r.Target.Secret, o)
		o = o.DeepCopy()
		r.Target.mark(o)
		p.changes = append(p.changes, &change{step: s, hook: hook, desired: o, hushed: hushed})
	}
	return p, errors.Join(errs...)
}

// manager is the plan's field manager.
func (p *plan) manager() string { return p.run.Target.FieldManager() }

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
// that nothing in the plan defines. What nobody can say because an API group is away is
// held.
func (p *plan) unknownKinds() (missing *change, err error) {
	for _, fresh := range []bool{false, true} {
		if fresh {
			p.c.kinds.forget() // what it remembers may be older than the definition
		}
		missing = nil
		for _, ch := range p.changes {
			if ch.mapping != nil || ch.held != nil {
				continue
			}
			err := p.mapKind(ch)
			switch {
			case errors.Is(err, ErrHeldUp):
				ch.held = err
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
	gvk := ch.desired.GroupVersionKind()
	if away := p.away[gvk.GroupKind()]; away != nil {
		return away
	}
	mapping, err := p.c.kinds.mapping(gvk)
	if meta.IsNoMatchError(err) {
		return err
	}
	if err != nil {
		err = p.c.classify(err, action{"list the kinds", nil})
		if errors.Is(err, ErrHeldUp) {
			p.away[gvk.GroupKind()] = err
		}
		return err
	}
	if err := p.setNamespace(ch.desired, mapping); err != nil {
		return err
	}
	ch.mapping, ch.api = mapping, p.c.resource(mapping, ch.desired.GetNamespace())
	ch.light = p.c.metadata.Resource(mapping.Resource).Namespace(ch.desired.GetNamespace())
	if ch.hushed {
		ch.api, ch.light = hush{ch.api}, lightHush{ch.light}
	}
	return nil
}

func (p *plan) setNamespace(o Object, mapping *meta.RESTMapping) error {
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		o.SetNamespace("") // some renderers put one on everything
		return nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(p.run.Target.Namespace)
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

// patchOptions are strict about fields that the kind does not have: a misspelt
// one would be dropped in silence. What was dry-run is not asked about again, which
// spares the API server reading it twice.
func (p *plan) patchOptions(dryRun, force bool) metav1.PatchOptions {
	o := metav1.PatchOptions{FieldManager: p.manager(), FieldValidation: metav1.FieldValidationIgnore}
	if dryRun {
		o.DryRun, o.FieldValidation = []string{metav1.DryRunAll}, metav1.FieldValidationStrict
	}
	if force {
		o.Force = &force
	}
	return o
}
