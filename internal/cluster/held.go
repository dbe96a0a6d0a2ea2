package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/fault"
)

// Some objects cannot be applied for now, whatever is in Git, and hold up nothing but
// themselves and what comes after them: those of an API group that is away, and those in a
// namespace that is being deleted. They are neither tried nor written. Everything else is,
// and the apply ends with an error that tells what waits and for what.

// holdBack finds out which of the errors of a dry run are those of namespaces that are
// being deleted. What is going to be in one of these waits; an error that a later try
// would meet in a new namespace, too, stays one.
func (p *plan) holdBack(ctx context.Context, errs []error) {
	for i, ch := range p.changes {
		if fault.Is(errs[i], fault.Conflict) {
			p.lookAtNamespace(ctx, ch, errs[i])
		}
	}
	for i, ch := range p.changes {
		why := p.leaving[spaceOf(ch.desired)]
		if why == nil || ch.mapping == nil || ch.after != nil || ch.held != nil {
			continue
		}
		if errs[i] == nil || fault.Is(errs[i], fault.Conflict) || apierrors.IsNotFound(errs[i]) {
			ch.held, ch.would, ch.waitsFor, errs[i] = why, nil, nil, nil
		}
	}
}

// spaceOf is the namespace that an object is in, or is.
func spaceOf(o Object) string {
	if isNamespace(o) {
		return o.GetName()
	}
	return o.GetNamespace()
}

func isNamespace(o Object) bool {
	return o.GroupVersionKind().GroupKind() == schema.GroupKind{Kind: "Namespace"}
}

var namespaceResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// lookAtNamespace finds out whether the namespace of an object that is in the way, or
// cannot be made, is being deleted.
func (p *plan) lookAtNamespace(ctx context.Context, ch *change, refused error) {
	space := spaceOf(ch.desired)
	if p.leaving[space] == nil && space != "" {
		if why := p.c.isLeaving(ctx, space, apierrors.HasStatusCause(refused, "NamespaceTerminating")); why != nil {
			p.leaving[space] = why
		}
	}
}

// isLeaving is why nothing can be made in a namespace: that is being deleted. It is nil
// where it is not, as far as anybody may know: who may not read namespaces has to rely on
// what the API server has said when it refused a new object.
func (c *Cluster) isLeaving(ctx context.Context, namespace string, said bool) error {
	var live Object
	err := again(ctx, func() (err error) {
		live, err = c.dynamic.Resource(namespaceResource).Get(ctx, namespace, metav1.GetOptions{})
		return err
	})
	switch {
	case err == nil && live.GetDeletionTimestamp() != nil:
		return c.leaving(namespace, live)
	case err == nil, apierrors.IsNotFound(err), !said: // it has just gone, perhaps, and may be there anew
		return nil
	}
	return c.leaving(namespace, nil)
}

// leaving is what is told of what cannot be in a namespace because that is being deleted.
func (c *Cluster) leaving(namespace string, live Object) error {
	since, holds := "", ""
	if live != nil {
		since = " since " + live.GetDeletionTimestamp().UTC().Format("2006-01-02 15:04 UTC")
		holds = keptBy(live)
	}
	hint := c.hint("is deleting the namespace %s%s.", namespace, since)
	if holds != "" {
		hint += " It is held by " + holds + "."
	}
	hint += " Whoever deletes it, or an administrator of the cluster, can see to it that it goes; Tagboat tries it again until then."
	return fault.E(fault.Conflict, hint, fmt.Errorf("%w: the namespace %s is being deleted", ErrHeldUp, namespace))
}

// keptBy is what keeps a namespace that is being deleted, as the API server tells it:
// whoever has put a finalizer on it, and what is still in it.
func keptBy(namespace Object) string {
	var told []string
	if f := namespace.GetFinalizers(); len(f) > 0 {
		told = append(told, "its finalizers "+strings.Join(f, ", "))
	}
	for _, c := range conditionsOf(namespace) {
		if message := fmt.Sprint(c["message"]); c["status"] == "True" && c["message"] != nil {
			told = append(told, brief(strings.TrimSuffix(message, ".")))
		}
	}
	return strings.Join(told, "; ")
}

// isBehind reports whether something that has to be there before a step is held. A wave
// wants all before it. Within a wave, what only goes on beside the rest does; but hooks
// run for a whole set, and what admits objects asks what is written before it.
func (p *plan) isBehind(s step) bool {
	whole := s.stage >= jobs || slices.ContainsFunc(p.changesOf(s), func(ch *change) bool { return ch.hook })
	return slices.ContainsFunc(p.changes, func(ch *change) bool {
		switch b := ch.step; {
		case ch.held == nil, b.phase == ground:
			return false
		case whole:
			return compareSteps(b, s) < 0
		default:
			return b.phase < s.phase || b.phase == s.phase && b.wave < s.wave
		}
	})
}

// heldUp is the error of an apply that has left something out.
func (p *plan) heldUp(held, behind []*change) error {
	var waiting []heldObject
	for _, ch := range held {
		waiting = append(waiting, heldObject{name(ch.desired), ch.held})
	}
	if len(behind) == 0 {
		return heldUp("Not applied: %s.", waiting, "Everything else is applied.")
	}
	var names []string
	for _, ch := range behind {
		names = append(names, name(ch.desired))
	}
	return heldUp("Not applied: %s.", waiting, fmt.Sprintf("What comes after that waits, too: %s. Everything else is applied.", few(names)))
}

// leaveOut takes out of a wait what has gone, or goes, along with its namespace: that is no
// failure of what was applied.
func (w *wait) leaveOut(ctx context.Context) {
	asked := map[string]error{}
	for _, one := range w.watched {
		lost := one.live == nil || one.live.GetDeletionTimestamp() != nil
		if one.health.Status != Failed || one.held != nil || !lost {
			continue
		}
		space := namespaceOf(one.written, one.mapping, w.options.Target)
		if isNamespace(one.written) {
			space = one.written.GetName()
		}
		why, known := asked[space]
		if !known && space != "" {
			why = w.c.isLeaving(ctx, space, false)
			asked[space] = why
		}
		one.held = why
	}
}

// heldUp is the error of a wait that has seen everything but what is held; nil where
// nothing is.
func (w *wait) heldUp() error {
	var held []heldObject
	for _, one := range w.watched {
		if one.held != nil {
			held = append(held, heldObject{name(one.written), one.held})
		}
	}
	if len(held) == 0 {
		return nil
	}
	return heldUp("Not healthy: %s.", held, "Everything else is healthy.")
}

// heldObject is what waits, and for what.
type heldObject struct {
	name string
	why  error
}

// heldUp is one error for all that waits, in the order of what it waits for.
func heldUp(what string, held []heldObject, rest string) error {
	var reasons []error
	var hints []string
	names := map[string][]string{}
	for _, h := range held {
		hint := hintOf(h.why)
		if names[hint] == nil {
			reasons, hints = append(reasons, h.why), append(hints, hint)
		}
		names[hint] = append(names[hint], h.name)
	}
	var told []string
	for _, hint := range hints {
		told = append(told, fmt.Sprintf(what, few(names[hint]))+" "+hint)
	}
	return fault.E(fault.KindOf(reasons[0]), strings.Join(append(told, rest), "\n"), errors.Join(reasons...))
}

// few are names, and how many more there are than people read.
func few(names []string) string {
	const enough = 5
	if more := len(names) - enough; more > 1 {
		names = append(names[:enough:enough], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
