package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// An object moves when Git has it in another overlay of the same cluster, or when an app, an
// environment or a cluster is called otherwise. Then it is another target's, and goes on
// running: that one takes it over, and the one before leaves it to that one. Both go by what
// Git has now, whatever the database knows of it already.

// keyOf names a target, in an installation and for good.
func keyOf(repo store.Repo, app, env, name string) string {
	return fmt.Sprintf("%s %s %s %s", repo.Mark, app, env, name)
}

// neighbour is a target as Git has it.
type neighbour struct {
	use
	cluster string
}

func (n neighbour) key() string { return keyOf(n.repo, n.pair.App, n.env.Name, n.cluster) }

func (n neighbour) String() string { return inPlain(n.pair.App, n.env.Name) }

// neighbours are all targets of an env repo.
func (w *Worker) neighbours(ctx context.Context, repo store.Repo) ([]neighbour, error) {
	uses, err := w.usesIn(ctx, repo, func(envrepo.Pair) bool { return true })
	if err != nil {
		return nil, err
	}
	var all []neighbour
	for _, u := range uses {
		for _, name := range u.env.Clusters {
			all = append(all, neighbour{u, name})
		}
	}
	return all, nil
}

// wants are the objects that Git has for a neighbour.
func (w *Worker) wants(ctx context.Context, n neighbour) ([]cluster.Object, error) {
	if n.pair.Err != nil {
		return nil, n.pair.Err
	}
	manifests, err := w.manifests(ctx, syncing{repo: n.repo, base: n.base, pair: n.pair}, n.base.tree, n.cluster)
	if err != nil {
		return nil, err
	}
	return cluster.Decode(manifests)
}

// lettingGo answers whether other targets have let go of objects (cluster.Target.LetGo).
// Each is looked at once, for as long as the answers are asked for.
func (w *Worker) lettingGo() func(ctx context.Context, from string, id cluster.ID) (bool, error) {
	var mu sync.Mutex // while asking, so that many objects ask once
	known := map[string][]cluster.Object{}
	return func(ctx context.Context, from string, id cluster.ID) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		objects, asked := known[from]
		if !asked {
			var found bool
			var err error
			if objects, found, err = w.wantsOf(ctx, from); err != nil || !found {
				return false, err
			}
			known[from] = objects
		}
		return !slices.ContainsFunc(objects, func(o cluster.Object) bool { return means(o, id) }), nil
	}
}

// wantsOf are the objects that Git has for the target of a key: none for one that is not in
// Git any more. found is false where no env repo that can be read had it, so that nobody
// knows.
func (w *Worker) wantsOf(ctx context.Context, key string) (objects []cluster.Object, found bool, err error) {
	repos, err := w.repos(ctx)
	if err != nil {
		return nil, false, err
	}
	at := slices.IndexFunc(repos, func(r store.Repo) bool { return strings.HasPrefix(key, r.Mark+" ") })
	if at < 0 {
		return nil, false, nil
	}
	all, err := w.neighbours(ctx, repos[at])
	if err != nil {
		return nil, false, err
	}
	for _, n := range all {
		if n.key() == key {
			objects, err = w.wants(ctx, n)
			return objects, err == nil, err
		}
	}
	return nil, true, nil
}

// means reports whether an object as it is rendered is the one of an id. It may name no
// namespace that it gets, and one that it does not have.
func means(o cluster.Object, id cluster.ID) bool {
	return o.GetName() == id.Name && o.GroupVersionKind().GroupKind() == id.GroupKind() &&
		(o.GetNamespace() == id.Namespace || o.GetNamespace() == "" || id.Namespace == "")
}

// leaveMoved finds what of a target's surplus is, or will be, another target's: wanted are
// the target's objects, and those that another one of the env repo has to take over before
// anything is deleted. What is not the target's own any more is forgotten, and gone from
// the inventory.
//
// An overlay that does not render may be where an object has moved to: then nothing is
// known.
func (w *Worker) leaveMoved(ctx context.Context, a *attempt, s *syncing, inventory []cluster.Entry) (_ []cluster.Entry, wanted []cluster.Object, err error) {
	left := cluster.Prunable(inventory, s.objects, nil)
	surplus := slices.Concat(left.Remove, left.NeedsYes)
	if len(surplus) == 0 || len(s.objects) == 0 {
		return inventory, s.objects, nil
	}
	moved, to, err := w.claimed(ctx, s, a.target, surplus)
	if err != nil {
		return nil, nil, err
	}
	// The others are asked about by the prune itself.
	isMoved := func(e cluster.Entry) bool {
		return slices.ContainsFunc(moved, func(o cluster.Object) bool { return means(o, e.ID) })
	}
	asked := slices.DeleteFunc(slices.Clone(left.Remove), func(e cluster.Entry) bool { return !isMoved(e) })
	released, err := s.door.Released(ctx, s.target, append(asked, left.NeedsYes...))
	if err != nil {
		return nil, nil, err
	}
	if len(released) > 0 {
		w.Log.InfoContext(ctx, "objects are another target's by now, or gone", "target", a.target.ID, "cluster", a.target.Cluster, "objects", len(released))
		if err := (ledger{w.Store, a.target}).Forget(ctx, released); err != nil {
			return nil, nil, err
		}
	}
	inventory = slices.DeleteFunc(slices.Clone(inventory), func(e cluster.Entry) bool { return slices.Contains(released, e.ID) })
	var waits []string
	for _, e := range surplus {
		if isMoved(e) && !slices.Contains(released, e.ID) {
			waits = append(waits, e.ID.String())
		}
	}
	if len(waits) > 0 {
		s.reached.Notes = append(s.reached.Notes, fmt.Sprintf("%s: moved to %s, and left as it is until that has taken it over.", cut(waits, 5), strings.Join(to, ", ")))
	}
	return inventory, slices.Concat(s.objects, moved), nil
}

// claimed are those of a target's surplus that Git has for other targets of the same env
// repo and cluster, and what those are called. A cluster may have two names.
func (w *Worker) claimed(ctx context.Context, s *syncing, t store.Target, surplus []cluster.Entry) (moved []cluster.Object, to []string, err error) {
	all, err := w.neighbours(ctx, s.repo)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range all {
		if n.key() == s.target.Key || n.cluster != t.Cluster && !s.door.Same(w.Clusters[n.cluster]) {
			continue
		}
		objects, err := w.wants(ctx, n)
		if err != nil {
			return nil, nil, fault.E(fault.KindOf(err), fmt.Sprintf("%s does not render, and may be where it has moved to. %s", n, explain(err)), err)
		}
		before := len(moved)
		for _, o := range objects {
			if slices.ContainsFunc(surplus, func(e cluster.Entry) bool { return means(o, e.ID) }) {
				moved = append(moved, o)
			}
		}
		if len(moved) > before {
			to = append(to, n.String())
		}
	}
	return moved, to, nil
}

// cut is a list in words, of which no more than enough are told.
func cut(list []string, enough int) string {
	if more := len(list) - enough; more > 0 {
		list = append(list[:enough:enough], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ", ")
}
