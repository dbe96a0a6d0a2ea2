package cluster

import (
	"context"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A commit may change a definition and, with it, objects of its kind: a field is new, or
// a value is allowed that was not. The cluster refuses those objects for as long as it has
// the definition as it was; so they are tried again when that is written, as are the
// objects of a kind that is new. An API server takes a moment until it goes by the new
// definition, and there may be several of them.

// takenUp is how long API servers may take to go by a definition that was changed.
const takenUp = 10 * time.Second

// byDefinition reports whether the API server has refused an object for what its
// definition says, and no policy has.
func byDefinition(err error) bool {
	status, answered := statusOf(err)
	return answered && !admissionRefused.MatchString(status.Message) && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || strings.Contains(status.Message, notOfItsSchema))
}

// awaitsDefinition reports whether an object is refused by a definition that the plan is
// going to change.
func (p *plan) awaitsDefinition(ch *change, err error) bool {
	if !byDefinition(err) {
		return false
	}
	d := p.definition(ch)
	return d != nil && d.after == nil
}

// settling reports whether an object is refused, perhaps, by a definition as it was before
// the plan has changed it, and waits a moment then.
func (p *plan) settling(ctx context.Context, ch *change, err error) bool {
	if !byDefinition(err) {
		return false
	}
	d := p.definition(ch)
	return d != nil && d.after != nil && d.outcome == Configured && p.c.now().Sub(d.at) < takenUp && pause(ctx, 200*time.Millisecond)
}

// judgeByDefinitions tries those again that wait for a definition which a dry run has found
// to stay as it is: they are simply wrong.
func (p *plan) judgeByDefinitions(ctx context.Context, comparisons []*comparison, errs []error) {
	for _, co := range comparisons {
		if co.desired.GetKind() == "CustomResourceDefinition" && co.live != nil && co.whole != nil && co.same(p.manager()) {
			co.after, co.outcome = co.desired, Unchanged
		}
	}
	for i, co := range comparisons {
		if errs[i] != nil || !byDefinition(co.waitsFor) {
			continue
		}
		if d := p.definition(co.change); d != nil && d.after != nil {
			errs[i] = p.checkOne(ctx, co.change)
		}
	}
}
