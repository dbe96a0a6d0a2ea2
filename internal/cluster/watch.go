package cluster

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	backoff "k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// Lookout is what Watch looks out for in one cluster, and whom it tells. Both functions
// are called by several goroutines, and should return soon.
type Lookout struct {
	// Tell is called when an object may not be as Tagboat applied it any more: target is
	// the label of whose it is (Target.Label). That is a hint; Drift finds out. An
	// object that changes in what nobody applied, or that Tagboat itself has applied, is
	// not told.
	Tell func(target string, id ID)
	// Trouble is told why objects of a kind cannot be watched, once for each reason; it is
	// tried again by itself. May be nil.
	Trouble func(kind schema.GroupKind, err error)

	mu     sync.Mutex
	places map[schema.GroupKind]*place
	narrow map[schema.GroupKind]bool // what may not be watched in all namespaces at once
	grown  chan struct{}             // closed when there is more to watch
}

// Add has the kinds of the entries watched, from now on and for as long as Watch runs.
func (l *Lookout) Add(entries ...Entry) {
	l.change(func() (changed bool) {
		for _, e := range entries {
			p := l.places[e.GroupKind()]
			if p == nil {
				p = &place{version: e.Version, namespaces: map[string]bool{}}
				l.places[e.GroupKind()] = p
			}
			changed = changed || !p.namespaces[e.Namespace]
			p.namespaces[e.Namespace] = true
		}
		return changed
	})
}

// change does something to the places, and wakes Watch if there is more to watch.
func (l *Lookout) change(do func() (changed bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.places == nil {
		l.places, l.narrow, l.grown = map[schema.GroupKind]*place{}, map[schema.GroupKind]bool{}, make(chan struct{})
	}
	if do() {
		close(l.grown)
		l.grown = make(chan struct{})
	}
}

// post is where one watch stands.
type post struct {
	kind      schema.GroupKind
	version   string
	namespace string // "" for all of them
}

// posts are all watches that there should be, and a channel that is closed when these
// are not all any more.
func (l *Lookout) posts() (posts []post, grown <-chan struct{}) {
	l.change(func() bool { return false })
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, p := range l.places {
		if !l.narrow[kind] {
			posts = append(posts, post{kind, p.version, ""})
			continue
		}
		for namespace := range p.namespaces {
			posts = append(posts, post{kind, p.version, namespace})
		}
	}
	return posts, l.grown
}

// narrowed has a kind watched in each of its namespaces, and reports whether that is
// something else than before.
func (l *Lookout) narrowed(kind schema.GroupKind) (is bool) {
	l.change(func() bool {
		is = !l.places[kind].namespaces[""] && !l.narrow[kind]
		l.narrow[kind] = l.narrow[kind] || is
		return is
	})
	return is
}

// Watch watches the metadata of all objects that bear a target's label, whosever it is,
// of the kinds that the lookout was given: one request for each kind that does not end,
// or one for each namespace where a kind may not be watched in the whole cluster. Of an
// object it remembers only what it compares, some 300 bytes.
//
// It ends with the context, and with nothing else: whatever goes wrong is told to the
// lookout and tried again, with patience. What has happened meanwhile it tells then; but
// what happened before it began it cannot tell.
func (c *Cluster) Watch(ctx context.Context, l *Lookout) error {
	ctx = klog.NewContext(ctx, klog.Logger{}) // the library's log: what matters of it goes to Trouble
	var watches sync.WaitGroup
	defer watches.Wait()
	begun := map[post]bool{}
	for {
		posts, grown := l.posts()
		for _, p := range posts {
			if !begun[p] {
				begun[p] = true
				watches.Go(func() { c.stand(ctx, l, p) })
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}

// A watch that ends at once is not begun again at once; one that lasted has earned it.
const (
	firstPause = 500 * time.Millisecond
	longPause  = 30 * time.Second
	lasting    = 2 * time.Minute
)

// stand keeps one watch until the context ends, or until it is narrowed to namespaces.
func (c *Cluster) stand(ctx context.Context, l *Lookout, p post) {
	seen := &memory{kind: p.kind, tell: l.Tell, marks: map[objectName]mark{}}
	said := ""
	patience := pauses()
	for {
		since := c.now()
		err := c.watchOnce(ctx, p, seen)
		if ctx.Err() != nil {
			return
		}
		if apierrors.IsForbidden(err) && p.namespace == "" && l.narrowed(p.kind) {
			return
		}
		if err != nil && l.Trouble != nil {
			err = c.classify(err, action{verb: "watch objects of the kind " + p.kind.String()})
			if err.Error() != said {
				said = err.Error()
				l.Trouble(p.kind, err)
			}
		}
		if c.now().Sub(since) >= lasting {
			patience, said = pauses(), ""
		}
		if !pause(ctx, patience.Step()) {
			return
		}
	}
}

func pauses() backoff.Backoff {
	return backoff.Backoff{Duration: firstPause, Factor: 2, Jitter: 0.5, Steps: 10, Cap: longPause}
}

// watchOnce lists and watches. The library takes care of bookmarks, of versions that
// have expired, and of connections that end.
func (c *Cluster) watchOnce(ctx context.Context, p post, seen *memory) error {
	mapping, err := c.mappingOf(p.kind, p.version)
	if err != nil {
		return err
	}
	api := c.watches.Resource(mapping.Resource).Namespace(p.namespace)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		api = c.watches.Resource(mapping.Resource)
	}
	ours := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector = TargetLabel
		return o
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return api.List(ctx, ours(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return api.Watch(ctx, ours(o))
		},
	}
	discard := klog.Logger{}
	err = cache.NewReflectorWithOptions(lw, &metav1.PartialObjectMetadata{}, seen, cache.ReflectorOptions{Logger: &discard}).ListAndWatchWithContext(ctx)
	if apierrors.IsNotFound(err) {
		c.kinds.forget() // it is not served any more, under this name at least
	}
	return err
}
