package cluster

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/fault"
)

const (
	// aFewReads are cheaper one by one than together.
	aFewReads = 3
	// tenth: where so few of a kind are still waited for, listing the others along with them
	// would cost more than it saves.
	tenth = 10
)

// lookTogether looks at the open ones of which there are many, by one LIST for each kind,
// and gives those that have to be read one by one: there are few of their kind, or they are
// not in its list, for whatever reason.
func (w *wait) lookTogether(ctx context.Context, open []*watched) (single []*watched, err error) {
	if w.options.Target.Key == "" {
		return open, nil
	}
	all := map[schema.GroupKind]int{}
	for _, one := range w.watched {
		if one.held != nil {
			continue
		}
		all[one.mapping.GroupVersionKind.GroupKind()]++
	}
	groups := map[schema.GroupKind][]*watched{}
	for _, one := range open {
		kind := one.mapping.GroupVersionKind.GroupKind()
		groups[kind] = append(groups[kind], one)
	}
	var listed [][]*watched
	var calm []bool
	for kind, group := range groups {
		still := alwaysCurrent[kind.String()] && !w.options.Rules.Has(kind.Group, kind.Kind)
		if still {
			group = slices.DeleteFunc(group, (*watched).wasJustSeen)
		}
		switch {
		case len(group) == 0:
		case !still && (len(group) <= aFewReads || len(group) < all[kind]/tenth):
			single = append(single, group...)
		default:
			listed, calm = append(listed, group), append(calm, still)
		}
	}
	var g errgroup.Group
	g.SetLimit(w.c.inFlight)
	for i, group := range listed {
		g.Go(func() (err error) {
			listed[i], err = w.lookInList(ctx, group, calm[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return append(single, slices.Concat(listed...)...), nil
}

// wasJustSeen takes an object that no controller works on for current, if an apply has just
// found or made it.
func (one *watched) wasJustSeen() bool {
	if one.written.GetUID() == "" {
		return false
	}
	one.health.Status, one.health.Message = Current, ""
	return true
}

// lookInList looks at a group of one kind, and gives those that are not in its list. What
// no controller works on is there, or not: its metadata tells.
func (w *wait) lookInList(ctx context.Context, group []*watched, calm bool) (missing []*watched, err error) {
	mapping, t, namespaces := group[0].mapping, w.options.Target, map[string]bool{}
	open := map[types.NamespacedName]*watched{}
	for _, one := range group {
		one.live = nil
		at := types.NamespacedName{Namespace: namespaceOf(one.written, mapping, t), Name: one.written.GetName()}
		open[at], namespaces[at.Namespace] = one, true
	}
	see := func(live metav1.Object) {
		at := types.NamespacedName{Namespace: live.GetNamespace(), Name: live.GetName()}
		if one := open[at]; one != nil {
			w.judge(one, live)
			delete(open, at)
		}
	}
	if calm {
		var list []Metadata
		list, err = w.c.listKind(ctx, t, mapping, namespaces)
		for _, o := range list {
			see(o)
		}
	} else {
		err = w.c.listWhole(ctx, t, mapping, namespaces, func(o Object) { see(o) })
	}
	// What may not be listed may be read; and of what is not found each is asked for, too.
	denied := fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound)
	for _, one := range open {
		if err == nil || denied {
			missing = append(missing, one)
		} else if err := w.unread(ctx, one, err); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// listWhole lists a target's objects of a kind, page by page: in the namespaces, or in all
// of them at once where there are several.
func (c *Cluster) listWhole(ctx context.Context, t Target, mapping *meta.RESTMapping, namespaces map[string]bool, each func(Object)) error {
	namespace := metav1.NamespaceAll
	if len(namespaces) == 1 && mapping.Scope.Name() != meta.RESTScopeNameRoot {
		for n := range namespaces {
			namespace = n
		}
	}
	options := metav1.ListOptions{LabelSelector: TargetLabel + "=" + t.Label(), Limit: 500}
	for {
		page, err := c.resource(mapping, namespace).List(ctx, options)
		if expired(err) && options.Limit > 0 { // some are seen twice
			options.Limit, options.Continue = 0, ""
			continue
		}
		if err != nil {
			return c.classify(err, action{verb: "list " + mapping.Resource.Resource})
		}
		for i := range page.Items {
			each(&page.Items[i])
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

// judge says how an object is that was found: by its content, or, of a kind that is current
// once it is there, by its metadata.
func (w *wait) judge(one *watched, live metav1.Object) {
	if uid := one.written.GetUID(); uid != "" && uid != live.GetUID() {
		one.health.Status, one.health.Message = Failed, "somebody deleted it and made another one of that name"
		return
	}
	if whole, ok := live.(*unstructured.Unstructured); ok {
		one.live, one.health = whole, healthOf(whole, w.options.Rules, w.c.known)
		one.health.Message = w.discreet(one)
		return
	}
	one.health.Status, one.health.Message = Current, ""
	if live.GetDeletionTimestamp() != nil {
		one.health.Status, one.health.Message = Failed, "it is being deleted"
	}
}
