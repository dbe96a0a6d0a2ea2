package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/fault"
)

// ErrUnhealthy marks the error of an apply that stopped because what it had written,
// an earlier wave or a hook, did not become healthy.
var ErrUnhealthy = errors.New("not healthy")

// Apply makes the cluster have the objects, and owns the fields that they set.
//
// What the target has is found out by one LIST for each kind; an object that is as it
// was applied last, and whose rendering has not changed, costs nothing more. All others
// are dry-run before the first write, so that a refusal of one stops all. What cannot
// be tried yet, because its kind or its namespace comes with this very set, is tried as
// soon as that is there. Faults that only a write can meet (a quota, a lost connection)
// may leave a part applied; applying again goes on from there.
//
// What is going to be written is in the ledger before it is, and what was written
// after each step, or when something goes wrong.
//
// Errors: Denied where another field manager or another target owns something,
// where a permission is missing or admission says no, or where a person has to be asked
// (Unadopted); Invalid where the API
// server refuses an object, or a hook or a wave does not succeed (ErrUnhealthy);
// Conflict while an object or a namespace is still being deleted, or keeps changing;
// Transient and RateLimited where a later try may do; what Run.Go and the ledger say.
// With ErrHeldUp everything was applied that does not hang on what is held (held.go).
func (c *Cluster) Apply(ctx context.Context, r Run) (result Result, err error) {
	defer fault.Wrap(&err, "apply %s to cluster %s", r.Target.Key, c.name)
	if len(r.Objects) == 0 {
		return result, fault.Errorf(fault.Invalid, "there are no objects to apply")
	}
	p, err := newPlan(c, r)
	if err != nil {
		return result, err
	}
	if err := p.look(ctx); err != nil {
		return result, err
	}
	err = p.discreet(p.carryOut(ctx, func(s step) bool { return s.phase != postSync }))
	return p.result(err), err
}

// ApplyPostSync runs the hooks that come after an apply, when what was applied is
// healthy. Give it the run that Apply got: hooks which have run for the same content
// are not run again, and cost no request.
func (c *Cluster) ApplyPostSync(ctx context.Context, r Run) (result Result, err error) {
	defer fault.Wrap(&err, "run the post-sync hooks of %s in cluster %s", r.Target.Key, c.name)
	p, err := newPlan(c, r)
	if err != nil {
		return result, err
	}
	p.changes = slices.DeleteFunc(p.changes, func(ch *change) bool { return ch.step.phase != postSync })
	if p.haveRun() {
		return result, nil
	}
	if err := p.look(ctx); err != nil {
		return result, err
	}
	err = p.discreet(p.carryOut(ctx, func(step) bool { return true }))
	result = p.result(err)
	result.Left = nil // only a part of the objects was looked at
	return result, err
}

// look finds out what the target has in the cluster.
func (p *plan) look(ctx context.Context) error {
	if err := p.resolve(); err != nil {
		return err
	}
	ids := map[ID]string{}
	for id, e := range p.entries {
		ids[id] = e.Version
	}
	for _, ch := range p.changes {
		if ch.mapping != nil {
			ids[idOf(ch.desired)] = ch.desired.GroupVersionKind().Version
		}
	}
	seen, err := p.c.sight(ctx, p.run.Target, ids)
	if err != nil {
		return err
	}
	for _, ch := range p.changes {
		if away := seen.away[ch.desired.GroupVersionKind().GroupKind()]; away != nil && ch.held == nil {
			ch.held = p.c.away(away)
		}
		if o := seen.objects[idOf(ch.desired)]; o != nil && p.ours(o) {
			ch.seen = o
		}
	}
	return nil
}

// carryOut tries everything, and writes the steps that are wanted.
func (p *plan) carryOut(ctx context.Context, wanted func(step) bool) error {
	if err := p.tryAll(ctx); err != nil {
		return err
	}
	if err := p.intend(ctx, wanted); err != nil {
		return err
	}
	for _, s := range p.steps() {
		if !wanted(s) || p.isBehind(s) {
			continue
		}
		if err := p.takeStep(ctx, s, wanted); err != nil {
			return err
		}
	}
	return p.leftOver(wanted)
}

// tryAll tries what was not tried yet, and asks where that takes a person's yes.
func (p *plan) tryAll(ctx context.Context) error {
	if err := p.check(ctx); err != nil {
		return err
	}
	return p.ask(ctx, p.changes)
}

// steps are all that the changes take, in their order.
func (p *plan) steps() []step {
	seen := map[step]bool{}
	for _, ch := range p.changes {
		seen[ch.step] = true
	}
	return slices.SortedFunc(maps.Keys(seen), compareSteps)
}

func (p *plan) takeStep(ctx context.Context, s step, wanted func(step) bool) error {
	for {
		ready := p.ready(s)
		if len(ready) == 0 {
			break
		}
		if err := p.waitForEarlier(ctx, s); err != nil {
			return err
		}
		err := p.write(ctx, ready)
		p.list(ready)
		if err != nil {
			return err
		}
		if s.phase == ground {
			if err := p.waitForFoundations(ctx, ready); err != nil {
				return err
			}
		}
		if err := p.tryAll(ctx); err != nil { // what had to wait for these
			return err
		}
		if err := p.intend(ctx, wanted); err != nil {
			return err
		}
	}
	p.list(p.changesOf(s)) // those that needed no write
	return nil
}

func (p *plan) changesOf(s step) (out []*change) {
	for _, ch := range p.changes {
		if ch.step == s {
			out = append(out, ch)
		}
	}
	return out
}

// list adds what is applied to what is told.
func (p *plan) list(changes []*change) {
	for _, ch := range changes {
		if ch.after != nil && !ch.listed {
			ch.listed = true
			p.written = append(p.written, ch)
		}
	}
}

// ready are the changes of a step that were tried and are not written yet.
func (p *plan) ready(s step) []*change {
	return slices.DeleteFunc(p.changesOf(s), func(ch *change) bool { return ch.would == nil || ch.after != nil || ch.held != nil })
}

// leftOver is the error for objects that wait for something which was written
// and is still not there, and for those that are held, with what comes after them.
func (p *plan) leftOver(wanted func(step) bool) error {
	var errs []error
	var held, behind []*change
	for _, ch := range p.changes {
		switch {
		case ch.after != nil, !wanted(ch.step):
		case ch.held != nil:
			held = append(held, ch)
		case p.isBehind(ch.step):
			behind = append(behind, ch)
		case ch.waitsFor != nil:
			errs = append(errs, p.c.classify(ch.waitsFor, action{"apply", ch.desired}))
		default:
			errs = append(errs, p.notServed(ch))
		}
	}
	if len(held) > 0 {
		errs = append(errs, p.heldUp(held, behind))
	}
	return all(errs)
}

// result is what was done, and with an error what was not.
func (p *plan) result(err error) (r Result) {
	for _, ch := range p.written {
		if !ch.hasRun {
			r.Applied = append(r.Applied, Applied{ch.after, ch.outcome, ch.hook})
		}
	}
	stays := map[ID]bool{}
	for _, ch := range p.changes {
		stays[idOf(ch.desired)] = true
		if err != nil && ch.after == nil {
			r.NotApplied = append(r.NotApplied, name(ch.desired))
		}
	}
	if err != nil {
		return r
	}
	for _, e := range p.run.Inventory {
		if !stays[e.ID] {
			r.Left = append(r.Left, e)
		}
	}
	return r
}

const foundationsTimeout = time.Minute

// waitForFoundations waits until new kinds are served and new namespaces take
// objects.
func (p *plan) waitForFoundations(ctx context.Context, written []*change) error {
	health, err := p.await(ctx, objectsOf(written), foundationsTimeout)
	if err != nil {
		return err
	}
	if !health.Healthy {
		return fault.Errorf(fault.Transient, "what the other objects need is not ready: %s", health.Reason)
	}
	return p.waitForKinds(ctx)
}

func objectsOf(changes []*change) (objects []Object) {
	for _, ch := range changes {
		objects = append(objects, ch.after)
	}
	return objects
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
		if !pause(ctx, 100*time.Millisecond) {
			return p.notServed(missing)
		}
	}
}

func (p *plan) notServed(ch *change) error {
	return fault.Errorf(fault.Transient, "cluster %s does not serve the kind %s yet, although its definition is there", p.c.name, kindOf(ch.desired))
}

// alwaysCurrent are kinds that no controller works on: there is nothing to wait for.
var alwaysCurrent = map[string]bool{
	"ConfigMap": true, "Secret": true, "ServiceAccount": true, "LimitRange": true, "Role.rbac.authorization.k8s.io": true,
	"RoleBinding.rbac.authorization.k8s.io": true, "ClusterRole.rbac.authorization.k8s.io": true, "ClusterRoleBinding.rbac.authorization.k8s.io": true,
	"NetworkPolicy.networking.k8s.io": true, "PriorityClass.scheduling.k8s.io": true, "StorageClass.storage.k8s.io": true,
}

// waitForEarlier waits until all of the earlier phases and waves is current. Within a
// wave, stages only order the writes.
func (p *plan) waitForEarlier(ctx context.Context, s step) error {
	var earlier []*change
	for _, ch := range p.written {
		before := ch.step.phase < s.phase || ch.step.phase == s.phase && ch.step.wave < s.wave
		if before && ch.step.phase != ground && !ch.hook && !ch.calm && !alwaysCurrent[ch.desired.GroupVersionKind().GroupKind().String()] {
			earlier = append(earlier, ch)
		}
	}
	if len(earlier) == 0 {
		return nil
	}
	health, err := p.await(ctx, objectsOf(earlier), p.patience())
	if err != nil {
		return err
	}
	if !health.Healthy {
		return fault.E(fault.Invalid, fmt.Sprintf("%s is not begun, because what comes before it in cluster %s is not healthy: %s", s, p.c.name, health.Reason), ErrUnhealthy)
	}
	for _, ch := range earlier {
		ch.calm = true
	}
	return nil
}

// String is how messages call a step.
func (s step) String() string {
	if s.phase == postSync {
		return "The post-sync phase"
	}
	return fmt.Sprintf("Wave %d", s.wave)
}

func (p *plan) patience() time.Duration {
	if p.run.Patience > 0 {
		return p.run.Patience
	}
	return defaultPatience
}

// askGoEvery is how often it is asked, while something is waited for, whether to go on.
const askGoEvery = time.Second

// await is Wait for one that may be called off.
func (p *plan) await(ctx context.Context, objects []Object, timeout time.Duration) (Health, error) {
	if len(objects) == 0 {
		return Health{Healthy: true}, nil
	}
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		for pause(waiting, askGoEvery) {
			if err := p.goOn(waiting); err != nil {
				stop(err)
			}
		}
	}()
	health, err := p.c.Wait(waiting, objects, WaitOptions{Timeout: timeout, Poll: 100 * time.Millisecond, Secret: p.run.Target.Secret, Target: p.run.Target})
	if err != nil && waiting.Err() != nil {
		return health, context.Cause(waiting)
	}
	return health, err
}

// goOn asks whether the next write may be made.
func (p *plan) goOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.run.Go == nil {
		return nil
	}
	return p.run.Go(ctx)
}

// applied is the object as it is told: what was wanted, and which one it became.
func (ch *change) applied(is Metadata) Object {
	o := *ch.desired
	o.Object = maps.Clone(o.Object)
	m, _ := o.Object["metadata"].(map[string]any)
	o.Object["metadata"] = maps.Clone(m)
	if is != nil {
		o.SetUID(is.UID)
		o.SetResourceVersion(is.ResourceVersion)
		o.SetGeneration(is.Generation)
	}
	return &o
}

func uidOf(m Metadata) types.UID {
	if m == nil {
		return ""
	}
	return m.UID
}
