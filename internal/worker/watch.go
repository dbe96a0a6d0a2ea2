package worker

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/store"
)

// gather is how long hints about one target are gathered: whoever changes one object
// often changes several.
const gather = 300 * time.Millisecond

// lookout has a cluster tell of changes.
type lookout struct {
	*cluster.Lookout
	w       *Worker
	cluster string

	mu      sync.Mutex
	pending map[string]bool // labels of targets that are going to be looked at
}

func newLookouts(w *Worker) map[string]*lookout {
	all := map[string]*lookout{}
	for name := range w.Clusters {
		l := &lookout{Lookout: &cluster.Lookout{}, w: w, cluster: name, pending: map[string]bool{}}
		l.Trouble = func(kind schema.GroupKind, err error) {
			w.Log.Warn("changes of a kind are seen only once a minute, because it cannot be watched", "cluster", name, "kind", kind.String(), "error", err)
		}
		all[name] = l
	}
	return all
}

// Watch has every cluster tell of changes past Git, until ctx ends. What it tells is a
// hint, as a webhook is: it has a target looked at closely.
func (w *Worker) Watch(ctx context.Context) error {
	var g errgroup.Group
	for name, l := range w.lookouts {
		l.Tell = func(target string, _ cluster.ID) { l.hear(ctx, target) }
		g.Go(func() error {
			if err := l.start(ctx); err != nil {
				w.Log.WarnContext(ctx, "what is in a cluster is watched only once it is synced", "cluster", name, "error", err)
			}
			if err := w.Clusters[name].Watch(ctx, l.Lookout); ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	return g.Wait()
}

// start has everything watched that is known to be there.
func (l *lookout) start(ctx context.Context) error {
	places, err := l.w.Store.StockPlaces(ctx, l.cluster)
	for _, p := range places {
		l.Add(cluster.Entry{ID: cluster.ID{Group: p.ApiGroup, Kind: p.Kind, Namespace: p.Namespace}, Version: p.Version})
	}
	return err
}

// hear has a target looked at, a moment later, once for all that is heard until then.
func (l *lookout) hear(ctx context.Context, label string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[label] {
		return
	}
	l.pending[label] = true
	time.AfterFunc(gather, func() {
		l.mu.Lock()
		delete(l.pending, label)
		l.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if err := l.suspect(ctx, label); err != nil {
			l.w.Log.WarnContext(ctx, "a change in a cluster is looked at only within a minute", "cluster", l.cluster, "error", err)
		}
	})
}

func (l *lookout) suspect(ctx context.Context, label string) error {
	targets, err := l.w.Store.TargetsOfCluster(ctx, l.cluster)
	if err != nil {
		return err
	}
	repos := map[int64]store.Repo{}
	for _, t := range targets {
		repo, known := repos[t.RepoID]
		if !known {
			if repo, err = l.w.Store.Repo(ctx, t.RepoID); err != nil {
				return err
			}
			repos[t.RepoID] = repo
		}
		if l.w.targetOf(repo, t.App, t.Env, t.Cluster).Label() == label {
			return l.w.Store.Suspect(ctx, t, syncJob)
		}
	}
	return nil // another installation's, or nobody's any more
}

// watchFor has objects watched that were just applied.
func (l *lookout) watchFor(r cluster.Result) {
	for _, a := range r.Applied {
		gvk := a.Object.GroupVersionKind()
		l.Add(cluster.Entry{ID: cluster.ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: a.Object.GetNamespace(), Name: a.Object.GetName()}, Version: gvk.Version})
	}
}
