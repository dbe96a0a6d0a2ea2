package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/tagboat/tagboat/internal/fault"
)

// Rebuilt is an inventory as it can be read off a cluster.
type Rebuilt struct {
	Entries []Entry // Written; the hash of what was applied is not known, so it is applied once more
	// Unseen are sentences for people about kinds that could not be looked at. Objects
	// of theirs may be missing in Entries, and so are never pruned; nothing else follows.
	Unseen []string
}

// Rebuild finds a target's objects without its inventory, for when the database is lost
// or older than the cluster: one LIST of metadata for each kind that the cluster has.
//
// What only bears the target's label is not the target's: controllers copy labels to
// what they make. It has to name the target, and the target has to manage some of it.
//
// Where objects of a kind may not be listed in the whole cluster, those in the namespaces
// are: give it all in which the target may have any. An error means that nothing could be
// looked at, and a later try may do better.
func (c *Cluster) Rebuild(ctx context.Context, t Target, namespaces []string) (_ Rebuilt, err error) {
	defer fault.Wrap(&err, "rebuild the inventory of %s from cluster %s", t.Key, c.name)
	mappings, unseen, err := c.listable()
	if err != nil {
		return Rebuilt{}, err
	}
	var mu sync.Mutex
	out := Rebuilt{Unseen: unseen}
	var lost error // of a list that a later try may bring
	answered := false
	var g errgroup.Group
	g.SetLimit(c.inFlight)
	for _, m := range mappings {
		g.Go(func() error {
			found, unseen, err := c.allOf(ctx, t, m, namespaces)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil && fault.KindOf(err).Retryable() {
				lost = err
			} else {
				answered = true
			}
			if unseen != "" {
				out.Unseen = append(out.Unseen, unseen)
			}
			for _, o := range found {
				if v, _ := t.ours(o); v == mayGo {
					gvk := m.GroupVersionKind
					out.Entries = append(out.Entries, Entry{ID: ID{gvk.Group, gvk.Kind, o.Namespace, o.Name}, Version: gvk.Version,
						UID: string(o.UID), Fingerprint: fingerprint(o, t.FieldManager()), State: Written})
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Rebuilt{}, err
	}
	if lost != nil && !answered {
		return Rebuilt{}, lost
	}
	slices.Sort(out.Unseen)
	slices.SortFunc(out.Entries, func(a, b Entry) int { return compareIDs(a.ID, b.ID) })
	return out, nil
}

// allOf lists what bears the target's label of a kind: everywhere, or where that is not
// permitted, in each of the namespaces. unseen says for people what could not be listed,
// and err why there was no list at all.
func (c *Cluster) allOf(ctx context.Context, t Target, m *meta.RESTMapping, namespaces []string) (found []Metadata, unseen string, err error) {
	kind := m.Resource.GroupResource()
	list := func(namespace string) (objects []Metadata, err error) {
		err = again(ctx, func() (err error) {
			objects, err = c.listIn(ctx, t, m, namespace)
			return err
		})
		return objects, err
	}
	if found, err = list(""); err == nil {
		return found, "", nil
	}
	unseen = fmt.Sprintf("%s could not be listed: %s", kind, hintOf(err))
	if !fault.Is(err, fault.Denied) || m.Scope.Name() != meta.RESTScopeNameNamespace {
		return nil, unseen, err
	}
	var where, why []string
	for _, n := range namespaces {
		some, err := list(n)
		if err != nil {
			why = append(why, hintOf(err))
			continue
		}
		where, found = append(where, n), append(found, some...)
	}
	if len(where) == 0 {
		return nil, unseen, err
	}
	unseen = fmt.Sprintf("%s could be listed in %s alone, because Tagboat lacks the permission to list them cluster-wide.", kind, strings.Join(where, ", "))
	return found, strings.Join(append([]string{unseen}, why...), " "), nil
}

// listable are the kinds that an object can be of that somebody applied, each in the
// version that the API server prefers, and sentences about those that it could not tell.
func (c *Cluster) listable() (mappings []*meta.RESTMapping, unseen []string, err error) {
	lists, err := c.discovery.ServerPreferredResources()
	failed, partial := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partial {
		return nil, nil, c.classify(err, action{"list the kinds", nil})
	}
	for gv, failure := range failed {
		unseen = append(unseen, fmt.Sprintf("The API group %s is not available: %v.", gv, failure))
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, nil, fmt.Errorf("the API group version %q: %w", list.GroupVersion, err)
		}
		for _, r := range list.APIResources {
			verbs := []string(r.Verbs)
			// What cannot be patched was not applied: it is made up, as metrics are.
			if !slices.Contains(verbs, "list") || !slices.Contains(verbs, "patch") || r.Name == "events" {
				continue
			}
			scope := meta.RESTScope(meta.RESTScopeNamespace)
			if !r.Namespaced {
				scope = meta.RESTScopeRoot
			}
			mappings = append(mappings, &meta.RESTMapping{Resource: gv.WithResource(r.Name), GroupVersionKind: gv.WithKind(r.Kind), Scope: scope})
		}
	}
	return mappings, unseen, nil
}

// compareIDs orders by kind, namespace and name.
func compareIDs(a, b ID) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
