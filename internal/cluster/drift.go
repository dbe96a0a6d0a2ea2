package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/fault"
)

// DriftCheck is what Drift needs to know.
type DriftCheck struct {
	Target    Target
	Objects   []Object // as they were applied last
	Inventory []Entry
	Ignore    []IgnoreRule
}

// DriftState is in what way an object is not as it was applied.
type DriftState string

const (
	Missing DriftState = "missing" // it is not there, or on its way out
	Changed DriftState = "changed" // fields that were applied have other values
	Unsure  DriftState = "unsure"  // somebody has changed something, and the cluster cannot say what
)

// DriftedObject is one object that is not as it was applied. It holds no secrets: it is
// kept and shown as it is.
type DriftedObject struct {
	ID      ID            `json:"-"`
	Object  string        `json:"object"` // "Deployment payments/api"
	State   DriftState    `json:"state"`
	Why     string        `json:"why,omitempty"` // of what is missing or unsure, for people
	Changes []FieldChange `json:"changes,omitempty"`
	More    int           `json:"more,omitempty"` // changes that are left out
}

// Drifted is what has become of a target's objects. The first part is kept and shown.
type Drifted struct {
	Objects []DriftedObject `json:"objects,omitempty"` // in the order that they were applied in
	More    int             `json:"more,omitempty"`    // objects that are left out

	// Reown are objects that have the content that was applied, but of which the target
	// does not manage all that it did: they were changed and changed back, or made anew.
	// That is no drift to tell of. An apply owns them again.
	Reown []ID `json:"-"`
	// Accepted are entries of objects of which only ignored fields have changed, with the
	// fingerprint that they have now. Once the ledger has them, they cost nothing until
	// the next change.
	Accepted []Entry `json:"-"`
	// Partly: the API group of some of the objects is away. Of these nothing is known.
	Partly bool `json:"-"`
}

const (
	maxDrifted = 100 // objects that are told of
	maxChanges = 20  // of an object
)

// Drift finds what is not in the cluster as it was applied: one LIST of metadata for
// each kind, whatever the number of objects. Only what looks changed by that is read,
// and compared with a dry run of the apply that would mend it. Nothing is written.
//
// What ends by itself, as hooks and Jobs with a time to live, is not missed.
//
// An error means that it is not known what has drifted: a cluster that cannot be read
// has no drift, and neither has an object whose API group is away.
func (c *Cluster) Drift(ctx context.Context, d DriftCheck) (_ Drifted, err error) {
	defer fault.Wrap(&err, "look for drift of %s in cluster %s", d.Target.Key, c.name)
	l := &looking{c: c, check: d, manager: d.Target.FieldManager()}
	if err := l.suspect(ctx); err != nil {
		return Drifted{}, err
	}
	if len(l.suspects) == 0 {
		return Drifted{Partly: l.partly}, nil
	}
	l.hush = hushOf(d.Objects, d.Target.Secret)
	l.exempt = c.exempt(d.Target, d.Objects, d.Ignore)
	var g errgroup.Group
	g.SetLimit(c.inFlight)
	for _, s := range l.suspects {
		g.Go(func() error { return l.confirm(ctx, s) })
	}
	if err := g.Wait(); err != nil {
		return Drifted{}, err
	}
	return l.drifted(ctx)
}

// looking is one look for drift.
type looking struct {
	c        *Cluster
	check    DriftCheck
	manager  string
	suspects []*suspect
	partly   bool // some of the objects could not be looked at
	hush     []string
	exempt   *exemptions
}

// suspect is an object that may have drifted.
type suspect struct {
	id      ID
	entry   Entry
	desired Object            // as rendered
	mapping *meta.RESTMapping // nil where the cluster has no such kind any more
	live    Object
	found   DriftedObject // without a state where there is nothing to tell
	reown   bool
}

// suspect compares the fingerprints of what the cluster has with those of the
// inventory.
func (l *looking) suspect(ctx context.Context) error {
	entries := map[ID]Entry{}
	for _, e := range l.check.Inventory {
		entries[e.ID] = e
	}
	mappings := map[schema.GroupVersionKind]*meta.RESTMapping{}
	away := map[schema.GroupVersionKind]bool{}
	ids := map[ID]string{}
	var all []*suspect
	for _, o := range l.check.Objects {
		if ends(o) {
			continue
		}
		gvk := o.GroupVersionKind()
		mapping, known := mappings[gvk]
		if !known {
			var err error
			mapping, err = l.c.mappingOf(gvk.GroupKind(), gvk.Version)
			if _, away[gvk] = errors.AsType[*errAway](err); err != nil && !away[gvk] && !meta.IsNoMatchError(err) {
				return l.c.classify(err, action{"list the kinds", nil})
			}
			mappings[gvk] = mapping
		}
		if away[gvk] {
			l.partly = true
			continue
		}
		s := &suspect{id: idOf(o), desired: o, mapping: mapping}
		s.id.Namespace = namespaceOf(o, mapping, l.check.Target)
		s.entry = entries[s.id]
		ids[s.id] = gvk.Version
		all = append(all, s)
	}
	seen, err := l.c.sight(ctx, l.check.Target, ids)
	if err != nil {
		return err
	}
	for _, s := range all {
		if seen.away[s.id.GroupKind()] != nil {
			l.partly = true
			continue
		}
		live := seen.objects[s.id]
		if live == nil || live.DeletionTimestamp != nil || string(live.UID) != s.entry.UID || s.entry.Fingerprint == "" ||
			fingerprint(live, l.manager) != s.entry.Fingerprint {
			l.suspects = append(l.suspects, s)
		}
	}
	return nil
}

// namespaceOf is where an object was applied to.
func namespaceOf(o Object, mapping *meta.RESTMapping, t Target) string {
	switch {
	case mapping != nil && mapping.Scope.Name() == meta.RESTScopeNameRoot:
		return ""
	case o.GetNamespace() == "":
		return t.Namespace
	}
	return o.GetNamespace()
}

// Lasting are those of the objects that are there for good once they are applied: no
// hooks, and no Jobs with a time to live. They are what can be looked at later.
func Lasting(objects []Object) []Object {
	return slices.DeleteFunc(slices.Clone(objects), ends)
}

// ends reports whether an object is not there for long, or was not applied at all:
// hooks, those of other occasions among them, and Jobs with a time to live.
func ends(o Object) bool {
	_, hook, applies, err := stepOf(o)
	return err != nil || hook || !applies || finishes(o)
}

// confirm finds out what is the matter with a suspect.
func (l *looking) confirm(ctx context.Context, s *suspect) error {
	s.found.ID, s.found.Object = s.id, s.id.String()
	if s.mapping == nil {
		s.found.State, s.found.Why = Missing, fmt.Sprintf("the cluster has no kind %s any more", kindOf(s.desired))
		return nil
	}
	wanted := s.desired.DeepCopy()
	wanted.SetNamespace(s.id.Namespace)
	l.check.Target.mark(wanted)
	api := l.c.resource(s.mapping, s.id.Namespace)
	if slices.Contains(l.check.Target.Secret, s.desired) {
		api = hush{api}
	}
	var live, tried Object
	err := again(ctx, func() (err error) {
		live, err = api.Get(ctx, s.id.Name, metav1.GetOptions{})
		return err
	})
	if notThere(err) {
		s.found.State, s.found.Why = Missing, "somebody has deleted it; Kubernetes does not remember who"
		return nil
	}
	if err != nil {
		return l.c.classify(err, action{"read", wanted})
	}
	s.live = live
	if live.GetDeletionTimestamp() != nil {
		s.found.State, s.found.Why = Missing, "somebody is deleting it"
		if f := live.GetFinalizers(); len(f) > 0 {
			s.found.Why += "; it waits for the finalizers " + strings.Join(f, ", ")
		}
		return nil
	}
	if epoch := live.GetAnnotations()[EpochAnnotation]; epoch != "" {
		annotate(wanted, EpochAnnotation, epoch) // as an apply does
	}
	body, err := json.Marshal(wanted.Object)
	if err != nil {
		return fmt.Errorf("write down %s: %w", s.id, err)
	}
	force := true // a dry run takes nothing away from anybody
	err = again(ctx, func() (err error) {
		tried, err = api.Patch(ctx, s.id.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: l.manager, Force: &force, DryRun: []string{metav1.DryRunAll}})
		return err
	})
	if err != nil {
		return l.unsure(ctx, s, l.c.classify(err, action{"dry-run the apply of", wanted}))
	}
	found, err := changes(l.manager, live, tried)
	if err != nil {
		return err
	}
	return l.weigh(ctx, s, found)
}

// unsure is about an object that cannot be applied as it is now: somebody has made
// another one of its name, or admission says no by now.
func (l *looking) unsure(ctx context.Context, s *suspect, err error) error {
	if _, answered := statusOf(err); !answered || ctx.Err() != nil || fault.KindOf(err).Retryable() {
		return err
	}
	s.found.State = Unsure
	s.found.Why = "it is not as it was applied, and the cluster would not take it as it is in Git: " +
		told(hintOf(err), valueless(s.desired, err), append(secretsOf([]Object{s.live}), l.hush...))
	return nil
}

// weigh leaves out what is ignored.
func (l *looking) weigh(ctx context.Context, s *suspect, found []FieldChange) error {
	ignored := false
	secret := strings.HasSuffix(s.id.Kind, "Secret") || slices.Contains(l.check.Target.Secret, s.desired)
	hush := append(secretsOf([]Object{s.live}), l.hush...)
	for _, change := range found {
		is, err := l.exempt.cover(ctx, s.id, change)
		if err != nil {
			return err
		}
		if is {
			ignored = true
			continue
		}
		change.discreet(secret, hush)
		s.found.Changes = append(s.found.Changes, change)
	}
	switch {
	case len(s.found.Changes) > 0:
		s.found.State = Changed
	case !ignored || string(s.live.GetUID()) != s.entry.UID:
		s.reown = true
	}
	if more := len(s.found.Changes) - maxChanges; more > 0 {
		s.found.Changes, s.found.More = s.found.Changes[:maxChanges], more
	}
	return nil
}

// drifted is what the suspects have come to.
func (l *looking) drifted(ctx context.Context) (out Drifted, err error) {
	out.Partly = l.partly
	for _, s := range l.suspects {
		switch {
		case s.found.State != "" && len(out.Objects) == maxDrifted:
			out.More++
		case s.found.State != "":
			out.Objects = append(out.Objects, s.found)
		case s.reown:
			out.Reown = append(out.Reown, s.id)
		default:
			e := s.entry
			e.Fingerprint = fingerprint(s.live, l.manager)
			out.Accepted = append(out.Accepted, e)
		}
	}
	return out, ctx.Err()
}
