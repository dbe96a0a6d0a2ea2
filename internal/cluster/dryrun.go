package cluster

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tagboat/tagboat/internal/fault"
)

// What a dry run comes to for an object, beside the outcomes of an apply.
const (
	Refused Outcome = "refused" // the cluster would not take it
	Untried Outcome = "untried" // cannot be tried before what comes with it is there
	Unclear Outcome = "unclear" // the cluster could not say
)

// Trial is what a dry run came to. It holds no values of the objects.
type Trial struct {
	Tried []Tried `json:"tried"`
	// Left names the objects that the cluster has, that were rendered before, and
	// are not any more: a sync deletes them, once all else is healthy and unless a guard
	// keeps them.
	Left []string `json:"left,omitempty"`
}

// Tried is one object.
type Tried struct {
	Object  string  `json:"object"` // "Deployment payments/api"
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"` // of all that is not an apply's outcome, and of what it would ask about first
	Who     string  `json:"who,omitempty"` // can mend it
}

// Count is how many objects had the outcome.
func (t Trial) Count(o Outcome) (n int) {
	for _, tried := range t.Tried {
		if tried.Outcome == o {
			n++
		}
	}
	return n
}

// DryRun says what Apply of the run's objects would come to, and changes nothing. Every
// object is read and dry-run exactly as Apply does before its first write; but one
// that is refused does not keep the others from being tried. before is what was
// rendered until now, for what would be left behind. No inventory is looked into, and no
// ledger written.
//
// What only a write can meet it cannot tell: objects that are each within a quota
// and together are not, or one that a webhook refuses by what another became.
//
// An error means that nothing is known: the cluster cannot be reached, or does not
// take our credentials.
func (c *Cluster) DryRun(ctx context.Context, r Run, before []Object) (trial Trial, err error) {
	defer fault.Wrap(&err, "dry-run %s in cluster %s", r.Target.Key, c.name)
	if len(r.Objects) == 0 {
		return trial, fault.Errorf(fault.Invalid, "there are no objects to try")
	}
	// A cluster that is away costs a moment, not the timeout of a request.
	if err := c.Ping(ctx); err != nil && !apierrors.IsForbidden(err) {
		return trial, err
	}
	r.Inventory, r.Ledger = nil, Unrecorded{}
	p, err := newPlan(c, r)
	p.whole = true
	if err != nil { // nothing can be asked, and nothing would be applied
		trial.Tried = []Tried{{Object: "the overlay", Outcome: Refused, Why: fault.HintOf(err), Who: "whoever maintains the overlay"}}
		return trial, nil
	}
	comparisons, errs := p.tryEach(ctx)
	if err := noAnswer(ctx, errs); err != nil {
		return trial, err
	}
	hush := hushOf(slices.Concat(r.Objects, before), r.Target.Secret)
	for i, co := range comparisons {
		trial.Tried = append(trial.Tried, p.came(ctx, co, errs[i], hush))
	}
	trial.Left, err = p.left(ctx, before)
	return trial, err
}

// comparison is a change beside what the cluster has. Unlike an apply, which needs to
// know only that a change is taken, a dry run tells what would be another one.
type comparison struct {
	*change
	live Object // nil where there is none
}

// tryEach is check for one that wants to know about every object.
func (p *plan) tryEach(ctx context.Context) ([]*comparison, []error) {
	errs := p.resolveEach()
	comparisons := make([]*comparison, len(p.changes))
	if _, err := p.content(); err != nil { // which several would ask for at once
		return nil, []error{err}
	}
	var g errgroup.Group
	g.SetLimit(p.c.inFlight)
	for i, ch := range p.changes {
		comparisons[i] = &comparison{change: ch}
		if errs[i] != nil {
			continue
		}
		g.Go(func() error {
			errs[i] = p.compare(ctx, comparisons[i])
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs, in the order of the objects
	p.judgeByDefinitions(ctx, comparisons, errs)
	return comparisons, errs
}

// compare reads an object, and then decides as an apply does.
func (p *plan) compare(ctx context.Context, co *comparison) error {
	live, err := co.whatIsThere(ctx)
	if err != nil && !apierrors.IsNotFound(err) {
		err = p.c.classify(err, action{"read", co.desired})
		if is := p.c.turnedAway(co.mapping.GroupVersionKind.GroupVersion(), err); is != nil {
			return p.c.away(is)
		}
		return err
	}
	if err == nil {
		co.live = live
		if err := p.mayTouch(ctx, co.change, live); err != nil {
			return err
		}
		if p.ours(live) {
			co.seen = metadataOf(live)
		}
	}
	if err := p.encodeOne(co.change, Entry{}); err != nil {
		return err
	}
	return p.checkOne(ctx, co.change)
}

// whatIsThere is the object as the cluster has it.
func (ch *change) whatIsThere(ctx context.Context) (live Object, err error) {
	err = again(ctx, func() (err error) {
		live, err = ch.api.Get(ctx, ch.desired.GetName(), metav1.GetOptions{})
		return err
	})
	return live, err
}

func metadataOf(o Object) Metadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: o.GetName(), Namespace: o.GetNamespace(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion(), DeletionTimestamp: o.GetDeletionTimestamp(),
		Labels: o.GetLabels(), Annotations: o.GetAnnotations(), Finalizers: o.GetFinalizers(), ManagedFields: o.GetManagedFields(),
	}}
}

// resolveEach maps the kinds, with a fresh look if need be, and says of every object
// why that is not possible.
func (p *plan) resolveEach() []error {
	errs := make([]error, len(p.changes))
	for _, fresh := range []bool{false, true} {
		if fresh {
			p.c.kinds.forget() // what it remembers may be older than the definition
		}
		for i, ch := range p.changes {
			if ch.mapping == nil {
				errs[i] = p.mapKind(ch)
			}
		}
		if !slices.ContainsFunc(errs, meta.IsNoMatchError) {
			break
		}
	}
	seen := map[ID]bool{} // two may have become one by the default namespace
	for i, ch := range p.changes {
		if id := idOf(ch.desired); errs[i] == nil && seen[id] {
			errs[i] = fault.Errorf(fault.Invalid, "%s is there twice in what the overlay renders to", name(ch.desired))
		} else {
			seen[id] = true
		}
	}
	return errs
}

// noAnswer is the first error that says nothing about an object: without an answer
// to all, there is none.
func noAnswer(ctx context.Context, errs []error) error {
	for _, err := range errs {
		_, answered := statusOf(err)
		switch {
		case err == nil, errors.Is(err, ErrHeldUp): // it is about this object
		case apierrors.IsUnauthorized(err), errors.Is(err, errNoCredentials), fault.Is(err, fault.RateLimited), fault.Is(err, fault.Transient) && !answered:
			return err
		}
	}
	return ctx.Err()
}

// came is what the dry run of one object came to.
func (p *plan) came(ctx context.Context, ch *comparison, err error, hush []string) Tried {
	t := Tried{Object: name(ch.desired)}
	switch {
	case meta.IsNoMatchError(err):
		if d := p.definition(ch.change); d != nil {
			t.Outcome, t.Why = Untried, fmt.Sprintf("its kind is defined by %s, which comes with it", name(d.desired))
			break
		}
		// Nothing is wrong with the object, and nothing is known about it.
		t.Outcome, t.Who = Unclear, "whoever maintains the overlay, or an administrator of cluster "+p.c.name
		t.Why = fault.HintOf(p.c.classify(err, action{"apply", ch.desired}))
	case err != nil:
		t.Outcome = Unclear
		if !fault.KindOf(err).Retryable() {
			t.Outcome = Refused
		}
		t.Why, t.Who = p.c.refusal(ch, err)
	case byDefinition(ch.waitsFor):
		t.Outcome, t.Why = Untried, fmt.Sprintf("its kind is changed by %s, which comes with it, and as that is now it would be refused", name(p.definition(ch.change).desired))
	case ch.waitsFor != nil:
		t.Outcome, t.Why = Untried, "it needs what comes with it"
		if status, ok := statusOf(ch.waitsFor); ok && status.Details != nil {
			t.Why = fmt.Sprintf("%s %s, which it needs, comes with it", status.Details.Kind, status.Details.Name)
		}
	case ch.recreate:
		t.Outcome, t.Why = Recreated, "it cannot be changed in place, and its annotation "+RecreateAnnotation+" lets it be deleted and made anew"
	case ch.live == nil:
		t.Outcome = Created
	case ch.hook: // the Job of the last time makes room for the next
		t.Outcome = Configured
	case ch.migration == nil && ch.same(p.manager()):
		t.Outcome = Unchanged
	default:
		t.Outcome, t.Why = Configured, p.asksFirst(ctx, ch)
	}
	t.Why = told(t.Why, t.Outcome == Configured || valueless(ch.desired, err), hush)
	return t
}

// asksFirst says that an apply would ask before it changes an object; "" where it would not.
func (p *plan) asksFirst(ctx context.Context, ch *comparison) string {
	if p.run.Adopt == nil || p.needsNoYes(ch.change) {
		return ""
	}
	a, err := p.adoptee(ctx, ch.change, ch.live, ch.whole, nil) // only fields are named
	if err != nil || a == nil {
		return "" // what cannot be said now, the sync says
	}
	var fields []string
	for _, c := range a.Changes {
		fields = append(fields, c.Path)
	}
	return "it is there already, and was not made by Tagboat: the sync asks for /adopt before it changes " + strings.Join(fields, ", ")
}

// left names what was rendered before, is not among the changes, and is in the
// cluster.
func (p *plan) left(ctx context.Context, before []Object) ([]string, error) {
	stays := map[ID]bool{}
	for _, ch := range p.changes {
		stays[idOf(ch.desired)] = true
	}
	old, _ := newPlan(p.c, Run{Target: p.run.Target, Objects: before}) // its order does not matter any more
	errs := old.resolveEach()
	var g errgroup.Group
	g.SetLimit(p.c.inFlight)
	there := make([]bool, len(errs))
	for i, ch := range old.changes {
		// What has no kind in the cluster, or was never accepted, is not there.
		if errs[i] != nil || stays[idOf(ch.desired)] {
			continue
		}
		g.Go(func() error {
			_, err := ch.whatIsThere(ctx)
			there[i] = !apierrors.IsNotFound(err) // what may not be read may be there
			errs[i] = p.c.classify(err, action{"read", ch.desired})
			return nil
		})
	}
	_ = g.Wait()
	if err := noAnswer(ctx, errs); err != nil {
		return nil, err
	}
	var names []string
	for i, ch := range old.changes {
		if there[i] {
			names = append(names, name(ch.desired))
		}
	}
	return names, nil
}

// same reports whether the dry run left the object as it is in all that an apply can
// change. Status is the controllers' and moves on its own, unless we set it.
func (co *comparison) same(manager string) bool {
	_, ours := co.desired.Object["status"]
	return reflect.DeepEqual(essence(co.live, manager, ours), essence(co.whole, manager, ours))
}

func essence(o Object, manager string, withStatus bool) map[string]any {
	o = o.DeepCopy()
	var owned any
	for _, entry := range o.GetManagedFields() {
		if entry.Manager == manager && entry.Operation == "Apply" && entry.Subresource == "" && entry.FieldsV1 != nil {
			owned = fmt.Sprintf("%s %v", entry.APIVersion, entry.FieldsV1)
		}
	}
	o.SetManagedFields(nil)
	o.SetResourceVersion("")
	if !withStatus {
		delete(o.Object, "status")
	}
	return map[string]any{"object": o.Object, "owned": owned}
}
