package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/health"
)

// WaitOptions bound a Wait. The zero value is fine.
type WaitOptions struct {
	Timeout  time.Duration // 0 for 5 min
	Poll     time.Duration // between two looks; 0 for 300 ms
	Grace    time.Duration // how long a pod of the new version may be in trouble; 0 for 20 s
	Progress func(string)  // told what is waited for whenever that changes; may be nil
	// Late is told once, after LateAfter, that something is not current yet, and what; its
	// error ends the wait. May be nil.
	Late      func(ctx context.Context, waitsFor string) error
	LateAfter time.Duration
	Rules     *health.Rules // of kinds that say in their own way how they are; asked before those that every Tagboat knows
	// SameImage reports whether two digests of one image name are the same image: an
	// index and what is in it for one platform, as some container runtimes report it. It
	// is asked when a container runs another digest than was applied; nil says no. No is
	// what is proven: what is not known is an error, and no failure.
	SameImage func(ctx context.Context, name, applied, running string) (bool, error)
	// Secret are those of the objects that nobody may read (Target.Secret). What they say of
	// themselves is left out, and what they hold is left out of what others say. They go by
	// their kind and name.
	Secret []Object
	// Target is whose objects they are. Then many of a kind are read together, by its label,
	// and what is current once it is there is not read at all when an apply has just seen it.
	Target Target
}

// Health is what a Wait came to.
type Health struct {
	Healthy bool
	Reason  string         // why not, for a person; what was last waited for where the time was up
	TimeUp  bool           // nothing has failed yet
	Objects []ObjectHealth // one per object, in the order they were given
	Took    time.Duration  // from the first look to the last
}

// Wait looks at the objects until all are current, one has failed or the time is
// up; only what keeps it from looking is an error. Give it what Apply returned:
// then an object that somebody deleted or replaced meanwhile counts as failed.
//
// A pod of a workload's newest version that cannot start (no such image, a crash
// loop, a missing Secret) fails the wait after a grace, with the pod's message and how
// its container ended last. Pods of older versions do not matter: they may be what the
// new one mends. A workload is current when its pods also run the very images that were
// applied, where those are pinned by digest: the nodes are asked, by way of the pods.
//
// A cluster that cannot be reached for a while is waited for, too, but not an API group that
// is away, nor a namespace that is being deleted: when all else is current, that is the
// error (ErrHeldUp). Other errors: Denied
// where a read is not permitted, NotFound or Invalid where a kind is gone.
func (c *Cluster) Wait(ctx context.Context, objects []Object, o WaitOptions) (_ Health, err error) {
	defer fault.Wrap(&err, "wait for health in cluster %s", c.name)
	w, err := c.newWait(objects, o)
	if err != nil {
		return Health{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, w.options.Timeout)
	defer cancel()
	for {
		err := w.look(bounded)
		timeUp := bounded.Err() != nil
		switch {
		case ctx.Err() != nil:
			return w.health(""), ctx.Err()
		case err != nil && !timeUp:
			return w.health(""), err
		}
		if len(w.texts(Failed)) > 0 {
			w.leaveOut(bounded)
		}
		if failed := w.texts(Failed); len(failed) > 0 {
			return w.health(some(failed)), nil
		}
		if len(w.texts(InProgress)) == 0 {
			return w.health(""), w.heldUp()
		}
		w.report()
		if err := w.late(bounded); err != nil && !timeUp {
			return w.health(""), err
		}
		if timeUp || !pause(bounded, w.options.Poll) {
			return w.timedOut(ctx)
		}
	}
}

// timedOut tells a time that is up from a caller who went away.
func (w *wait) timedOut(ctx context.Context) (Health, error) {
	if ctx.Err() != nil {
		return w.health(""), ctx.Err()
	}
	h := w.health(fmt.Sprintf("not healthy after %s: %s", w.options.Timeout, some(w.texts(InProgress))))
	h.TimeUp = true
	return h, nil
}

// late tells that this has lasted for a while.
func (w *wait) late(ctx context.Context) error {
	if w.options.Late == nil || w.wasLate || w.c.now().Sub(w.began) < w.options.LateAfter {
		return nil
	}
	w.wasLate = true
	return w.options.Late(ctx, some(w.texts(InProgress)))
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// wait is one Wait under way.
type wait struct {
	c       *Cluster
	options WaitOptions
	watched []*watched
	began   time.Time
	said    string                           // to Progress
	wasLate bool                             // Late was told
	doubts  sync.Mutex                       // held while asking
	doubted map[schema.GroupVersion]*errAway // whether they are away, as far as that was asked
	same    map[string]sameness              // what SameImage has answered
	mu      sync.Mutex                       // of same
	hush    func() []string                  // what nobody may read of the objects
}

// watched is one object that is waited for.
type watched struct {
	written Object
	held    error // why nobody can say how it is: then it is not looked at any more
	mapping *meta.RESTMapping
	api     dynamic.ResourceInterface
	live    Object // as the look under way has read it; nil where it could not
	health  ObjectHealth
	before  ObjectHealth         // when the look under way began
	strange ObjectHealth         // what the last look at its images said; zero when it found nothing, or there was none
	trouble map[string]time.Time // since when a trouble of its pods is seen, by its reason
}

func (c *Cluster) newWait(objects []Object, o WaitOptions) (*wait, error) {
	defaults := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	defaults(&o.Timeout, 5*time.Minute)
	defaults(&o.Poll, 300*time.Millisecond)
	defaults(&o.Grace, 20*time.Second)
	w := &wait{c: c, options: o, began: c.now(), same: map[string]sameness{}, doubted: map[schema.GroupVersion]*errAway{}, hush: sync.OnceValue(func() []string { return hushOf(objects, o.Secret) })}
	known := map[schema.GroupVersionKind]*meta.RESTMapping{}
	away := map[schema.GroupVersionKind]*errAway{}
	for _, object := range objects {
		gvk := object.GroupVersionKind()
		one := &watched{
			written: object,
			health:  ObjectHealth{Kind: gvk.Kind, Namespace: object.GetNamespace(), Name: object.GetName(), Status: InProgress, Message: unseen},
			trouble: map[string]time.Time{},
		}
		w.watched = append(w.watched, one)
		if known[gvk] == nil && away[gvk] == nil {
			var err error
			known[gvk], err = c.kinds.mapping(gvk)
			if away[gvk], _ = errors.AsType[*errAway](err); err != nil && away[gvk] == nil {
				return nil, c.classify(err, action{"read", object})
			}
		}
		if away[gvk] != nil {
			one.isAway(c, away[gvk])
			continue
		}
		one.mapping, one.api = known[gvk], c.resource(known[gvk], object.GetNamespace())
	}
	return w, nil
}

// unseen is what is told of an object before the first look.
const unseen = "not seen yet"

// look reads everything that is not current yet, and then the pods of those of them that
// have some.
func (w *wait) look(ctx context.Context) error {
	var open, peopled []*watched
	for _, one := range w.watched {
		if one.health.Status != Current && one.held == nil {
			one.before = one.health
			open = append(open, one)
		}
	}
	single, err := w.lookTogether(ctx, open)
	if err != nil {
		return err
	}
	if err := w.each(single, func(one *watched) error { return w.lookAt(ctx, one) }); err != nil {
		return err
	}
	var live []Object
	for _, one := range open {
		if one.live != nil && hasPods(one.live) && (one.health.Status != Current || len(pinned(one.written)) > 0) {
			peopled, live = append(peopled, one), append(live, one.live)
		}
	}
	count := w.c.census(ctx, live)
	return w.each(peopled, func(one *watched) error { return w.inspect(ctx, one, count) })
}

func (w *wait) each(all []*watched, do func(*watched) error) error {
	var g errgroup.Group
	g.SetLimit(w.c.inFlight)
	for _, one := range all {
		g.Go(func() error { return do(one) })
	}
	return g.Wait()
}

func (w *wait) lookAt(ctx context.Context, one *watched) error {
	one.live = nil
	live, err := one.api.Get(ctx, one.written.GetName(), metav1.GetOptions{})
	switch {
	case notThere(err), apierrors.IsNotFound(err) && w.c.hasLost(one.mapping):
		one.gone()
		return nil
	case apierrors.IsNotFound(err): // by somebody on the way, who knows nothing of the object
		one.health.Status, one.health.Message = InProgress, w.c.hint("could not read %s: something else has answered, which knows of no API.", name(one.written))
		return nil
	case err != nil:
		return w.unread(ctx, one, w.c.classify(err, action{"read", one.written}))
	}
	w.judge(one, live)
	return nil
}

// hasLost reports whether the cluster does not serve a kind any more.
func (c *Cluster) hasLost(mapping *meta.RESTMapping) bool {
	c.kinds.forget() // what it remembers may be from before
	_, err := c.kinds.mapping(mapping.GroupVersionKind)
	return meta.IsNoMatchError(err)
}

// unsaid is what is told of an object that nobody may read and that is not well: a rule's
// message can have any of its values in it, changed beyond recognition.
const unsaid = "what it says of that is left out, because it may hold secrets"

// discreet is what an object's own content says of its health, as it may be shown. The
// values are looked for before anything is cut: half of one is too much, too.
func (w *wait) discreet(one *watched) string {
	switch {
	case one.health.Message == "" || one.live.GetDeletionTimestamp() != nil: // those words are ours
		return one.health.Message
	case isSecret(one.written), w.wasSecret(one.written):
		return string(one.health.Status) + "; " + unsaid
	}
	// As "SecretSyncedError: could not get secret data" looks like a secret and is none, it
	// is what is known to be one that is left out.
	return brief(told(one.health.Message, true, w.hush()))
}

// wasSecret reports whether an object is one that nobody may read. An apply may have
// given it a namespace that it did not say.
func (w *wait) wasSecret(o Object) bool {
	id := idOf(o)
	return slices.ContainsFunc(w.options.Secret, func(secret Object) bool {
		is := idOf(secret)
		return is.GroupKind() == id.GroupKind() && is.Name == id.Name && (is.Namespace == id.Namespace || is.Namespace == "")
	})
}

// inspect looks at the pods of a workload: what keeps it from being current, and what
// really runs where it says that it is.
func (w *wait) inspect(ctx context.Context, one *watched, count *census) error {
	pods, err := count.newestPods(one.live)
	if err != nil {
		switch {
		case ctx.Err() == nil:
		case one.health.Status == Current && one.strange.Message != "":
			one.health = one.strange
		case one.health.Status == Current:
			one.health.Status, one.health.Message = InProgress, "what its pods run could not be looked at in time"
		case one.health.Status == one.before.Status && one.before.Message != unseen:
			one.health = one.before // what was known of its pods says more
		}
		return w.unread(ctx, one, err)
	}
	if one.health.Status == Current {
		if w.weigh(one, w.strangeImages(ctx, one.written, pods)); one.health.Status != Current {
			one.strange = one.health
		}
		return nil
	}
	one.strange = ObjectHealth{} // another rollout has begun
	w.weigh(one, troubles(one.live, pods, w.hush()))
	return nil
}

// unread keeps waiting through what may pass, and tells what it was. A time that
// is up says nothing about the cluster, so what was known before stays.
func (w *wait) unread(ctx context.Context, one *watched, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if is := w.doubt(one.mapping.GroupVersionKind.GroupVersion(), err); is != nil {
		one.isAway(w.c, is)
		return nil
	}
	if !fault.KindOf(err).Retryable() {
		return err
	}
	one.health.Status, one.health.Message = InProgress, fault.HintOf(err)
	return nil
}

// gone judges an object that is not there (any more). Only a Job with a time to
// live may go by itself, and only when it has finished.
func (one *watched) gone() {
	if _, ttl, _ := unstructured.NestedInt64(one.written.Object, "spec", "ttlSecondsAfterFinished"); ttl && one.written.GetKind() == "Job" {
		one.health.Status, one.health.Message = Current, ""
		return
	}
	one.health.Status, one.health.Message = Failed, "it is gone: somebody deleted it"
}

// weigh adds the troubles of an object's pods to its health, and fails it when
// one of them lasts longer than the grace. Troubles come and go (a crash loop
// runs for a second now and then), so one counts from when it was first seen.
func (w *wait) weigh(one *watched, troubles []trouble) {
	if len(troubles) == 0 {
		return
	}
	now := w.c.now()
	for _, t := range troubles {
		if one.trouble[t.reason].IsZero() {
			one.trouble[t.reason] = now
		}
	}
	worst, lasts := troubles[0], false
	for _, t := range troubles {
		ripe := t.fatal && now.Sub(one.trouble[t.reason]) >= w.options.Grace
		if ripe && !lasts || t.fatal && !worst.fatal {
			worst, lasts = t, ripe
		}
	}
	switch {
	case one.health.Status == Failed, !worst.fatal && one.health.Message != "":
		one.health.Message += "; " + worst.String()
	default:
		one.health.Message = worst.String()
	}
	switch {
	case lasts:
		one.health.Status = Failed
	case one.health.Status == Current:
		one.health.Status = InProgress
	}
}

func (w *wait) texts(s Status) (out []string) {
	for _, one := range w.watched {
		if one.health.Status == s && one.held == nil {
			out = append(out, one.health.String())
		}
	}
	return out
}

// report tells Progress what is waited for, if that has changed.
func (w *wait) report() {
	text := some(w.texts(InProgress))
	if w.options.Progress == nil || text == w.said {
		return
	}
	w.said = text
	w.options.Progress(text)
}

func (w *wait) health(reason string) Health {
	h := Health{Reason: reason, Took: w.c.now().Sub(w.began)}
	for _, one := range w.watched {
		h.Objects = append(h.Objects, one.health)
	}
	h.Healthy = !slices.ContainsFunc(h.Objects, func(o ObjectHealth) bool { return o.Status != Current })
	return h
}
