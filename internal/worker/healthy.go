package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/store"
)

// stumble is how long a look at what was healthy may take until it is again. Pods come
// and go when nodes do and when load does; longer than that it was ill, and the time for
// which it is healthy begins anew.
const stumble = time.Minute

// unready is how long it may take until nobody builds on it for now: neither an
// environment that needs it healthy, nor a later wave.
const unready = 10 * time.Second

// lookIn is how long what has failed is looked at when it is tried again: long enough to
// find out what is the matter with its pods by now (cluster.WaitOptions.Grace), and no
// longer, because other apps of the cluster wait for their turn.
const lookIn = 30 * time.Second

// patienceFor is how long an attempt waits for what it brings to be healthy: what has
// failed already must not keep others from their turn, time and again.
func patienceFor(t store.Target, brings string, most time.Duration) time.Duration {
	if t.Ill && t.RenderedHash == brings {
		return min(most, lookIn)
	}
	return most
}

// notReady begins the message of a target that was healthy a moment ago.
const notReady = "It was healthy, and is not ready just now: "

// wasHealthy reports whether a target was healthy when it was last looked at, or is not
// ready since.
func wasHealthy(t store.Target) bool {
	return t.HealthySeen != nil && (t.State == store.TargetHealthy || t.State == store.TargetWaiting && strings.HasPrefix(t.Message, notReady))
}

// awaitStill waits until a target is healthy, which it was or was not. One that was is
// looked at again and again rather than waited for: when a node goes, many are not ready
// at once, and what mends or moves one of them must not wait for all others. It has failed
// when it was not seen healthy for as long as a rollout may take, by this process: while none
// looked, its machine may have been lost together with theirs.
func (w *Worker) awaitStill(ctx context.Context, a *attempt, s *syncing, run cluster.Run, patience time.Duration) error {
	t, waits := a.target, ""
	o := cluster.WaitOptions{Timeout: patience}
	if wasHealthy(t) {
		o.Timeout = min(patience, stumble)
		o.Progress = func(text string) { waits = text }
		o.LateAfter, o.Late = unready, func(ctx context.Context, waits string) error {
			s.reached.Ailed = true
			return w.Store.AilTarget(ctx, t, notReady+waits, afterSync())
		}
	}
	health, err := w.await(ctx, a, s, run.Target, cluster.Lasting(run.Objects), o)
	if err != nil || !health.TimeUp || !wasHealthy(t) {
		return err
	}
	if w.Now().Sub(later(*t.HealthySeen, w.began)) < w.HealthTimeout {
		s.reached.State, s.reached.Message, s.reached.Ill = store.TargetWaiting, notReady+waits, false
		return nil
	}
	s.reached.Message = fmt.Sprintf("It was healthy until %s, and is not any more: %s", clock(*t.HealthySeen), waits)
	return nil
}

// sameImage asks the registry whether two digests are one image. A registry that Tagboat
// was not told of is not asked, because an image's name in a manifest is anybody's; what
// a node reports of such an image is believed. So it is when the registry has deleted what
// was applied: nothing that runs gets ill by that.
func (w *Worker) sameImage(ctx context.Context, name, applied, running string) (bool, error) {
	if !w.Registry.Knows(name) {
		return true, nil
	}
	same, err := w.Registry.SameImage(ctx, name, applied, running)
	if errors.Is(err, registry.ErrForgotten) {
		return true, nil
	}
	return same, err
}
