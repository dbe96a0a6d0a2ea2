package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/fault"
)

// exemptions are the fields of a target's objects that may differ from Git: a change of
// them is no drift, and an apply leaves them to whoever holds them.
type exemptions struct {
	c     *Cluster
	rules []IgnoreRule

	mu     sync.Mutex
	scaled map[string][]IgnoreRule // by namespace: rules for what autoscalers there scale
}

// exempt are the built-in exemptions, those that people have written down, and those of
// what an autoscaler among the objects scales.
func (c *Cluster) exempt(t Target, objects []Object, ignore []IgnoreRule) *exemptions {
	e := &exemptions{c: c, rules: slices.Concat(builtIn, ignore)}
	for _, o := range objects {
		for _, r := range scaledBy(o) {
			r.Namespace = cmp.Or(r.Namespace, literal(t.Namespace))
			e.rules = append(e.rules, r)
		}
	}
	return e
}

// cover reports whether a field may differ. Autoscalers that are not among the objects
// are asked for when it depends on them.
func (e *exemptions) cover(ctx context.Context, id ID, change FieldChange) (bool, error) {
	covers := func(r IgnoreRule) bool { return r.covers(id, change) }
	if slices.ContainsFunc(e.rules, covers) {
		return true, nil
	}
	if printed(change.steps) != "spec.replicas" || id.Namespace == "" {
		return false, nil
	}
	rules, err := e.scaledIn(ctx, id.Namespace)
	return slices.ContainsFunc(rules, covers), err
}

// scaledIn are rules for what autoscalers of a namespace scale. Those that come from
// elsewhere than Git count, too; KEDA's have one of Kubernetes each. Where they may not
// be read, there are none.
func (e *exemptions) scaledIn(ctx context.Context, namespace string) ([]IgnoreRule, error) {
	e.mu.Lock() // while asking, so that many objects ask once
	defer e.mu.Unlock()
	if rules, known := e.scaled[namespace]; known {
		return rules, nil
	}
	list, err := e.c.dynamic.Resource(schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}).
		Namespace(namespace).List(ctx, metav1.ListOptions{})
	rules := []IgnoreRule{}
	if err != nil {
		if err = e.c.classify(err, action{verb: "list horizontalpodautoscalers"}); !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	} else {
		for i := range list.Items {
			rules = append(rules, scaledBy(&list.Items[i])...)
		}
	}
	if e.scaled == nil {
		e.scaled = map[string][]IgnoreRule{}
	}
	e.scaled[namespace] = rules
	return rules, nil
}
