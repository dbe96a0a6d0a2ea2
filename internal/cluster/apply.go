package cluster

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/fault"
)

const (
	// FieldManager is the name under which the API server remembers which fields
	// are Tagboat's.
	FieldManager = "tagboat"
	// TargetAnnotation names, on every object that Tagboat applied, the target it
	// belongs to.
	TargetAnnotation = "tagboat.dev/target"
)

// Target is what a set of objects is deployed as.
type Target struct {
	Key       string // stable and unique: "acme/env payments prod prod-eu"
	Namespace string // for namespaced objects that name none; may be empty if all do
	// Secret are those of the objects whose values nobody may read, though they need not
	// be Secrets: they were encrypted in Git. What the API server says of them is not
	// passed on.
	Secret []Object
}

// Outcome is what an apply came to for one object.
type Outcome string

const (
	Created    Outcome = "created"
	Configured Outcome = "configured"
	Unchanged  Outcome = "unchanged"
)

// Applied is one object as the cluster has it after the apply.
type Applied struct {
	Object  Object
	Outcome Outcome
}

// Result holds what was applied, stage by stage in the order of writing. With an
// error it holds what was written before it.
type Result struct {
	Applied []Applied
}

// Objects are the applied objects; they are what Wait takes.
func (r Result) Objects() (objects []Object) {
	for _, a := range r.Applied {
		objects = append(objects, a.Object)
	}
	return objects
}

// Count is how many objects had the outcome.
func (r Result) Count(o Outcome) (n int) {
	for _, a := range r.Applied {
		if a.Outcome == o {
			n++
		}
	}
	return n
}

// Apply makes the cluster have the objects, and owns the fields that they set.
//
// Before the first write every object is read and every change dry-run, so that
// a refusal of one stops all. What cannot be tried yet, because its kind or its
// namespace comes with this very set, is tried as soon as that is there. Faults
// that only a write can meet (a quota, a lost connection) may leave a part
// applied; applying again goes on from there.
//
// Errors: Denied where another field manager or another target owns something,
// where a permission is missing or admission says no; Invalid where the API
// server refuses an object; Conflict while an object or a namespace is still
// being deleted; Transient and RateLimited where a later try may do. The objects
// that were passed in are not changed.
func (c *Cluster) Apply(ctx context.Context, t Target, objects []Object) (result Result, err error) {
	defer fault.Wrap(&err, "apply %s to cluster %s", t.Key, c.name)
	if len(objects) == 0 {
		return result, fault.Errorf(fault.Invalid, "there are no objects to apply")
	}
	p := newPlan(c, t, objects)
	if err := p.check(ctx); err != nil {
		return result, err
	}
	for s := range stages {
		for {
			ready := p.ready(s)
			if len(ready) == 0 {
				break
			}
			err := p.write(ctx, ready)
			result.Applied = append(result.Applied, applied(ready)...)
			if err != nil {
				return result, err
			}
			if s == foundations {
				if err := p.waitForFoundations(ctx, ready); err != nil {
					return result, err
				}
			}
			if err := p.check(ctx); err != nil { // what had to wait for these
				return result, err
			}
		}
	}
	return result, p.leftOver()
}

func applied(changes []*change) (out []Applied) {
	for _, ch := range changes {
		if ch.after != nil {
			out = append(out, Applied{ch.after, ch.outcome})
		}
	}
	return out
}

// ready are the changes of a stage that were tried and are not written yet.
func (p *plan) ready(s stage) (out []*change) {
	for _, ch := range p.changes {
		if ch.stage == s && ch.tried != nil && ch.after == nil {
			out = append(out, ch)
		}
	}
	return out
}

// leftOver is the error for objects that wait for something which was written
// and is still not there.
func (p *plan) leftOver() error {
	var errs []error
	for _, ch := range p.changes {
		switch {
		case ch.after != nil:
		case ch.waitsFor != nil:
			errs = append(errs, p.c.classify(ch.waitsFor, action{"apply", ch.desired}))
		default:
			errs = append(errs, p.notServed(ch))
		}
	}
	return all(errs)
}

// write sends the changes, several at a time. After an error no further one is
// begun, and those under way are finished, so that it is known what was written.
func (p *plan) write(ctx context.Context, changes []*change) error {
	var g errgroup.Group
	g.SetLimit(p.c.inFlight)
	errs := make([]error, len(changes))
	failed, fail := context.WithCancel(context.Background())
	defer fail()
	for i, ch := range changes {
		g.Go(func() error {
			if failed.Err() != nil || ctx.Err() != nil {
				return ctx.Err()
			}
			if errs[i] = p.writeOne(ctx, ch); errs[i] != nil {
				fail()
			}
			return nil
		})
	}
	stopped := g.Wait()
	if err := all(errs); err != nil {
		return err
	}
	return stopped
}

func (p *plan) writeOne(ctx context.Context, ch *change) (err error) {
	if ch.live != nil && ch.migration == nil && ch.same(ch.live, ch.tried) {
		ch.after, ch.outcome = ch.live, Unchanged
		return nil
	}
	if ch.migration != nil {
		// Guarded by the resource version it was computed from: a conflict means
		// that the object changed since.
		_, err := ch.api.Patch(ctx, ch.desired.GetName(), types.JSONPatchType, ch.migration, patchOptions(false, false))
		if err != nil {
			return p.c.classify(err, action{"take over kubectl's fields of", ch.desired})
		}
	}
	after, err := p.patch(ctx, ch, patchOptions(false, false))
	if err != nil {
		return p.c.classify(err, action{"apply", ch.desired})
	}
	ch.after, ch.outcome = after, Configured
	switch {
	case ch.live == nil:
		ch.outcome = Created
	case ch.migration == nil && ch.same(ch.live, after):
		ch.outcome = Unchanged
	}
	return nil
}

const foundationsTimeout = time.Minute

// waitForFoundations waits until new kinds are served and new namespaces take
// objects.
func (p *plan) waitForFoundations(ctx context.Context, written []*change) error {
	var objects []Object
	for _, a := range applied(written) {
		if healthOf(a.Object).Status != Current {
			objects = append(objects, a.Object)
		}
	}
	if len(objects) == 0 {
		return p.waitForKinds(ctx)
	}
	health, err := p.c.Wait(ctx, objects, WaitOptions{Timeout: foundationsTimeout, Poll: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	if !health.Healthy {
		return fault.Errorf(fault.Transient, "what the other objects need is not ready: %s", health.Reason)
	}
	return p.waitForKinds(ctx)
}

// waitForKinds asks the API server for its kinds until it names those that the
// plan needs: a definition is established a moment before its kind is listed.
func (p *plan) waitForKinds(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, foundationsTimeout)
	defer cancel()
	for {
		missing, err := p.unknownKinds()
		if err != nil || missing == nil || !p.definesWritten(missing) {
			return err
		}
		select {
		case <-ctx.Done():
			return p.notServed(missing)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *plan) notServed(ch *change) error {
	return fault.Errorf(fault.Transient, "cluster %s does not serve the kind %s yet, although its definition is there", p.c.name, kindOf(ch.desired))
}

// same reports whether two states of the object are equal in all that an apply
// can change. Status is the controllers' and moves on its own, unless we set it.
func (ch *change) same(a, b Object) bool {
	_, ours := ch.desired.Object["status"]
	return reflect.DeepEqual(essence(a, ours), essence(b, ours))
}

func essence(o Object, withStatus bool) map[string]any {
	o = o.DeepCopy()
	var owned any
	for _, entry := range o.GetManagedFields() {
		if entry.Manager == FieldManager && entry.Operation == "Apply" && entry.Subresource == "" && entry.FieldsV1 != nil {
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

// isFieldConflict reports whether the server refused an apply because others own
// fields of the object.
func isFieldConflict(err error) bool {
	return apierrors.IsConflict(err) && apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}
