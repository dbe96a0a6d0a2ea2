package cluster

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/fault"
)

// RecreateAnnotation, with the value "true", lets Tagboat delete an object and make it
// anew where a change cannot be made in place.
const RecreateAnnotation = "tagboat.dev/recreate"

// neverRecreated are kinds whose objects hold what is lost with them: data, or all the
// objects in them.
var neverRecreated = map[string]bool{
	"PersistentVolumeClaim": true, "PersistentVolume": true, "Namespace": true,
	"CustomResourceDefinition.apiextensions.k8s.io": true, "StatefulSet.apps": true,
}

// cannotChange tells a change that cannot be made in place from an object that is
// wrong: the API server refuses both in the same words. What it would take under
// another name is right, and may be made anew where its annotation allows that.
func (p *plan) cannotChange(ctx context.Context, ch *change, cause error) error {
	refused := p.c.classify(cause, action{"apply", ch.desired})
	// A policy is not got round by deleting the object. (Of one that nobody may read, its
	// words do not come through; but it names no field.)
	if status, _ := statusOf(cause); admissionRefused.MatchString(status.Message) || ch.hushed && fieldsOf(status) == "" {
		return refused
	}
	live := ch.seen
	if live == nil {
		found, err := p.read(ctx, ch)
		if fault.Is(err, fault.Conflict) {
			return refused // there is none: it is wrong
		}
		if err != nil {
			return err
		}
		if err := p.mayTouch(ctx, ch, found); err != nil {
			return err
		}
		if !p.ours(found) && ch.former == "" {
			return refused
		}
		live = found
	}
	if err := p.tryElsewhere(ctx, ch); err != nil {
		if passing(err) {
			return p.c.classify(err, action{"try", ch.desired})
		}
		return refused
	}
	status, _ := statusOf(cause)
	what := fieldsOf(status)
	if what == "" || ch.desired.GetKind() == "Secret" {
		what = "the API server does not take the change"
	}
	kind := ch.desired.GroupVersionKind().GroupKind().String()
	switch {
	case neverRecreated[kind]:
		ch.wayOut = fmt.Sprintf("change it back in Git. Tagboat never deletes a %s for a change; an administrator of cluster %s can, and then it is made anew.", ch.desired.GetKind(), p.c.name)
	case ch.desired.GetAnnotations()[RecreateAnnotation] != "true":
		ch.wayOut = fmt.Sprintf("change it back in Git; or annotate the object with %s: \"true\", and Tagboat deletes it and makes it anew.", RecreateAnnotation)
		if kind == "Job.batch" {
			ch.wayOut += fmt.Sprintf(" A Job that shall run again with every change is a hook: annotate it with %s: pre-sync or post-sync.", HookAnnotation)
		}
	}
	if ch.wayOut != "" {
		return fault.E(fault.Invalid, p.c.hint("refuses %s: %s. It cannot be changed in place: %s", name(ch.desired), what, ch.wayOut), cause)
	}
	if why := p.mayNotGo(ch, live); why != "" {
		return fault.E(fault.Denied, p.c.hint("refuses %s: %s. It cannot be changed in place, and is not deleted to be made anew: %s", name(ch.desired), what, why), cause)
	}
	ch.would, ch.exists, ch.recreate = live, true, true
	return nil
}

// mayNotGo is why an object that may be made anew is not deleted for that: what keeps it
// from being pruned keeps it here, too. "" where nothing does. A mark of another deployer
// that is rendered is ours.
func (p *plan) mayNotGo(ch *change, live Metadata) string {
	if why := keeper(live); why != "" {
		return why
	}
	if ch.former != "" { // it is about to be taken over, and was not applied under our name
		return ""
	}
	if v, why := p.run.Target.ours(live); v != mayGo {
		return why
	}
	if c := metav1.GetControllerOf(live); c != nil {
		return fmt.Sprintf("owned by %s %s, whose controller makes and deletes it", c.Kind, c.Name)
	}
	if d, found := deployerOf(live, ch.desired, p.manager()); found {
		return "owned by " + d.name + ", too"
	}
	return ""
}

// tryElsewhere dry-runs the creation of an object under a name that is free.
func (p *plan) tryElsewhere(ctx context.Context, ch *change) error {
	o := ch.desired.DeepCopy()
	o.SetGenerateName("tagboat-try-")
	o.SetName("")
	return again(ctx, func() error {
		_, err := ch.api.Create(ctx, o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: p.manager(), FieldValidation: metav1.FieldValidationStrict})
		return err
	})
}

// ownsPods are kinds whose pods have to be gone before the next of that name is made.
var ownsPods = map[string]bool{"Deployment.apps": true, "DaemonSet.apps": true, "ReplicaSet.apps": true, "Job.batch": true, "CronJob.batch": true}

// remove deletes exactly the object that was seen, and waits until it is gone.
func (p *plan) remove(ctx context.Context, ch *change) error {
	was := ch.would
	// If the run ends here, the next one may not take the new object for another's.
	if err := p.keep(ctx, []Entry{p.entryOf(ch, Intended)}); err != nil {
		return err
	}
	propagation := metav1.DeletePropagationBackground
	if ownsPods[ch.desired.GroupVersionKind().GroupKind().String()] {
		propagation = metav1.DeletePropagationForeground
	}
	err := ch.light.Delete(ctx, ch.desired.GetName(), metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &was.UID, ResourceVersion: &was.ResourceVersion},
		PropagationPolicy: &propagation,
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return p.c.classify(err, action{"delete, to make it anew,", ch.desired})
	}
	if err := p.waitUntilGone(ctx, ch, was.UID); err != nil {
		return err
	}
	ch.seen = nil
	return nil
}

func (p *plan) waitUntilGone(ctx context.Context, ch *change, uid types.UID) error {
	deadline := p.c.now().Add(p.patience())
	for {
		live, err := p.read(ctx, ch)
		switch {
		case fault.Is(err, fault.Conflict), err == nil && live.UID != uid:
			return nil
		case err != nil:
			return err
		case p.c.now().After(deadline):
			return fault.Errorf(fault.Denied, "%s in cluster %s was deleted to be made anew, and is not gone after %s: %s. Whoever runs what holds it has to let go of it; the next attempt makes it anew",
				name(ch.desired), p.c.name, p.patience(), beingDeleted(live))
		}
		if err := p.goOn(ctx); err != nil {
			return err
		}
		if !pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}
