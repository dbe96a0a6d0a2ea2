package cluster

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"github.com/tagboat/tagboat/internal/fault"
)

// Removal is what Prune needs to know.
type Removal struct {
	Target Target
	Remove []Entry // that Prunable lets go
	Ledger Ledger
	Go     func(context.Context) error // asked before each deletion; an error stops at that point. May be nil
}

// What a prune comes to for an object.
const (
	Deleted Outcome = "deleted"       // it was there, and is not any more
	Absent  Outcome = "absent"        // it was not there any more
	Leaving Outcome = "being deleted" // the cluster was told to delete it, and has not finished
	Stays   Outcome = "kept"          // it is there, and is not touched
	Blocked Outcome = "not deleted"   // it should go, and could not be deleted this time
)

// PrunedObject is one object. It holds no values of it.
type PrunedObject struct {
	ID      ID
	Outcome Outcome
	Why     string // for people; "" of what is deleted or absent
	Parted  bool   // it stays, and the inventory has it no more: it is another target's
}

// Pruned is what a prune came to, for every object that was to be removed.
type Pruned struct {
	Objects []PrunedObject
}

// Count is how many objects had the outcome.
func (p Pruned) Count(o Outcome) (n int) {
	for _, object := range p.Objects {
		if object.Outcome == o {
			n++
		}
	}
	return n
}

// Prune deletes objects of a target that are not in Git any more.
//
// The ledger has the intent before the first deletion, and forgets an object only when
// it is certainly not there; so a crash at any point costs nothing but another look.
// Every object is judged by its metadata (see Target.judge), and deleted only as it was
// seen then: the request names its uid and resource version, so that the API server
// refuses it if anything has happened to the object since. Then it is judged again.
//
// What an apply writes last goes first: workloads before the settings that they use,
// and those before namespaces and definitions. What cannot be deleted stops what it may
// still need, and nothing beside it.
//
// The ledger's entries are afterwards Pruning, for what is on its way out or could not
// be deleted; Kept, with the reason, for what stays; and forgotten, for what is gone or
// belongs to another target. Call it again with those that are Pruning.
//
// An error tells why some of it could not be done: Denied where a permission is missing
// or admission says no; Conflict where an object never stayed the same for as long as it
// takes to delete it; Transient and RateLimited where a later try may do; or that of the
// ledger or of Go. What was done is told all the same.
func (c *Cluster) Prune(ctx context.Context, r Removal) (_ Pruned, err error) {
	defer fault.Wrap(&err, "prune %s in cluster %s", r.Target.Key, c.name)
	p := &pruning{c: c, target: r.Target, ledger: r.Ledger, goOn: r.Go}
	var intents []Entry
	for _, e := range r.Remove {
		if e.State != Pruning {
			e.State, e.Reason = Pruning, ""
			intents = append(intents, e)
		}
		p.removals = append(p.removals, &removal{entry: e, outcome: Blocked, why: "it was not its turn any more"})
	}
	if len(p.removals) == 0 {
		return Pruned{}, nil
	}
	if len(intents) > 0 {
		if err := r.Ledger.Keep(ctx, intents); err != nil {
			return Pruned{}, err
		}
	}
	if err := p.see(ctx); err != nil {
		return p.pruned(), err
	}
	failure := p.delete(ctx)
	if err := p.lookBack(ctx); failure == nil {
		failure = err
	}
	if err := p.record(ctx); err != nil {
		return p.pruned(), err // whoever lost the target must not hear of anything else first
	}
	return p.pruned(), failure
}

// pruning is one prune under way.
type pruning struct {
	c        *Cluster
	target   Target
	ledger   Ledger
	goOn     func(context.Context) error
	removals []*removal
}

// removal is one object on its way out of the cluster.
type removal struct {
	entry   Entry
	mapping *meta.RESTMapping // nil where the cluster has no such kind any more
	away    *errAway          // where nobody can say what is there
	live    Metadata          // as it was seen last; nil where it was not
	sent    bool              // a deletion, of which it is not known yet what it came to
	foreign bool
	outcome Outcome
	why     string
}

// see finds the objects, all of them.
func (p *pruning) see(ctx context.Context) error {
	if err := p.seeSome(ctx); err != nil {
		return err
	}
	for _, r := range p.removals {
		if r.away != nil {
			return p.c.away(r.away)
		}
	}
	return nil
}

// seeSome finds the objects, but for those whose API group is away. What does not bear the
// target's label any more is not in the lists; whether it is gone has to be asked for.
func (p *pruning) seeSome(ctx context.Context) error {
	ids := map[ID]string{}
	for _, r := range p.removals {
		ids[r.entry.ID] = r.entry.Version
	}
	seen, err := p.c.sight(ctx, p.target, ids)
	if err != nil {
		return err
	}
	if len(seen.gone) > 0 {
		// Whoever knows no kinds at all is no API server, but something in its place.
		if _, err := p.c.mappingOf(schema.GroupKind{Kind: "Namespace"}, "v1"); err != nil {
			return fault.E(fault.Transient, p.c.hint("does not even know the kind Namespace; it is asked again."), err)
		}
	}
	var g errgroup.Group
	g.SetLimit(p.c.inFlight)
	for _, r := range p.removals {
		if seen.gone[r.entry.GroupKind()] {
			r.outcome, r.why = Absent, ""
			continue
		}
		if r.away = seen.away[r.entry.GroupKind()]; r.away != nil {
			continue
		}
		if r.mapping, err = p.c.mappingOf(r.entry.GroupKind(), r.entry.Version); err != nil {
			return p.c.classify(err, action{"list the kinds", nil})
		}
		if r.live = seen.objects[r.entry.ID]; r.live == nil {
			g.Go(func() error { return p.read(ctx, r) })
		}
	}
	return g.Wait()
}

func (p *pruning) read(ctx context.Context, r *removal) error {
	var live Metadata
	err := again(ctx, func() (err error) {
		live, err = p.api(r).Get(ctx, r.entry.Name, metav1.GetOptions{})
		return err
	})
	if notThere(err) {
		r.live = nil
		return nil
	}
	if err != nil {
		return p.c.classify(err, action{"read", r.object()})
	}
	r.live = live
	return nil
}

// notThere reports whether the API server has said that it has no such object. Anybody
// on the way to it may answer 404, and so does an API server that does not serve the
// kind; both say nothing about the object.
func notThere(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

func (p *pruning) api(r *removal) metadata.ResourceInterface {
	all := p.c.metadata.Resource(r.mapping.Resource)
	if r.mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return all
	}
	return all.Namespace(r.entry.Namespace)
}

// object is what messages are about.
func (r *removal) object() Object {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(r.entry.GroupKind().WithVersion(r.entry.Version))
	o.SetNamespace(r.entry.Namespace)
	o.SetName(r.entry.Name)
	return o
}

// delete goes through the stages from the last to the first. It returns why some of
// the objects are still there.
func (p *pruning) delete(ctx context.Context) error {
	for s := admission; s >= foundations; s-- {
		var g errgroup.Group
		g.SetLimit(p.c.inFlight)
		stop, halt := context.WithCancelCause(ctx)
		var mu sync.Mutex
		var errs []error
		for _, r := range p.removals {
			if r.mapping == nil || stageOf(r.object()) != s {
				continue
			}
			g.Go(func() error {
				if stop.Err() != nil {
					return nil
				}
				if err := p.remove(ctx, r); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
					if _, stopped := errors.AsType[errStop](err); stopped {
						halt(err)
					}
				}
				return nil
			})
		}
		_ = g.Wait() // the errors are in errs
		stopped := context.Cause(stop)
		halt(nil)
		if said, ok := errors.AsType[errStop](stopped); ok {
			return said.error
		}
		if stopped != nil {
			return stopped
		}
		if len(errs) > 0 {
			p.wait(s, errs[0])
			return all(errs)
		}
	}
	return nil
}

// errStop is the error of one who was asked whether to go on.
type errStop struct{ error }

// wait says of all that comes after a stage what it waits for.
func (p *pruning) wait(after stage, cause error) {
	for _, r := range p.removals {
		if r.mapping != nil && stageOf(r.object()) < after {
			r.why = "what may still need it has to go first: " + hintOf(cause)
		}
	}
}

func hintOf(err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint
	}
	return err.Error()
}

// changesMind is how often an object may change while it is being deleted.
const changesMind = 3

// remove judges an object and deletes it, as it was seen then.
func (p *pruning) remove(ctx context.Context, r *removal) error {
	pauses := patience()
	for n := 1; ; n++ {
		if p.settle(r) {
			return nil
		}
		if p.goOn != nil {
			if err := p.goOn(ctx); err != nil {
				return errStop{err}
			}
		}
		err := p.request(ctx, r)
		_, answered := statusOf(err)
		switch {
		case err == nil:
			r.sent = true
			return nil
		case notThere(err):
			r.live = nil
			continue
		case ctx.Err() != nil:
			return errStop{ctx.Err()}
		case passing(err) && n < changesMind && !pause(ctx, pauses.Step()):
			return errStop{ctx.Err()}
		case answered && !apierrors.IsConflict(err) && !passing(err), n == changesMind:
			err = p.c.classify(err, action{"delete", r.object()})
			r.why = hintOf(err)
			return err
		}
		// It has changed since it was seen; or the answer is lost, and nobody knows
		// whether it is still there.
		if err := p.read(ctx, r); err != nil {
			r.why = hintOf(err)
			return err
		}
	}
}

// settle judges an object, and reports whether there is nothing to delete.
func (p *pruning) settle(r *removal) bool {
	v, why := p.target.judge(r.entry, r.live)
	r.why = why
	switch v {
	case isGone:
		r.outcome = Absent
	case isGoing:
		r.outcome = Leaving
	case isKept:
		r.outcome = Stays
	case isForeign:
		r.outcome, r.foreign = Stays, true
	default:
		return false
	}
	return true
}

// request deletes in the background: the object goes at once, and the garbage collector
// takes what it owns. In the foreground it would stay until its last pod has gone, and
// one that hangs would keep it in the way of everything else.
func (p *pruning) request(ctx context.Context, r *removal) error {
	uid, version, background := r.live.UID, r.live.ResourceVersion, metav1.DeletePropagationBackground
	return p.api(r).Delete(ctx, r.entry.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
		PropagationPolicy: &background,
	})
}

// lookBack finds out which of the deleted objects are gone: what has finalizers is not.
func (p *pruning) lookBack(ctx context.Context) error {
	ids := map[ID]string{}
	for _, r := range p.removals {
		if r.sent {
			ids[r.entry.ID] = r.entry.Version
			r.outcome, r.why = Leaving, "it is being deleted"
		}
	}
	if len(ids) == 0 {
		return nil
	}
	seen, err := p.c.sight(ctx, p.target, ids)
	if err != nil {
		return err
	}
	for _, r := range p.removals {
		if !r.sent {
			continue
		}
		switch live := seen.objects[r.entry.ID]; {
		case seen.away[r.entry.GroupKind()] != nil: // it was told to go, and nobody can say whether it has
		case live == nil || live.UID != r.live.UID:
			r.outcome, r.why = Deleted, ""
		default:
			r.why = beingDeleted(live)
		}
	}
	return nil
}

func (p *pruning) record(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	var forget []ID
	var kept []Entry
	for _, r := range p.removals {
		switch {
		case r.outcome == Deleted, r.outcome == Absent, r.foreign:
			forget = append(forget, r.entry.ID)
		case r.outcome == Stays:
			e := r.entry
			e.State, e.Reason = Kept, r.why
			kept = append(kept, e)
		}
	}
	if len(forget) > 0 {
		if err := p.ledger.Forget(ctx, forget); err != nil {
			return err
		}
	}
	if len(kept) > 0 {
		return p.ledger.Keep(ctx, kept)
	}
	return nil
}

func (p *pruning) pruned() (out Pruned) {
	for _, r := range p.removals {
		out.Objects = append(out.Objects, PrunedObject{ID: r.entry.ID, Outcome: r.outcome, Why: r.why, Parted: r.foreign})
	}
	return out
}
