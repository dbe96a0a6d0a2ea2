package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

const (
	// leaseFor is how long nobody else begins with a target when nothing is heard of
	// whoever has it.
	leaseFor = 15 * time.Second
	// renewEvery leaves time for several tries.
	renewEvery = 3 * time.Second
	// leaseMargin is how long before its lease ends an attempt stops: whatever it has
	// under way then comes to an end before anybody else begins.
	leaseMargin = 5 * time.Second
)

// errSuperseded ends an attempt because what it brings is not the newest any more.
var errSuperseded = errors.New("a newer commit has come")

// attempt is one attempt on a target, alone as long as its lease holds.
type attempt struct {
	w      *Worker
	target store.Target // with its fence
	try    int          // from 1
	// newer says whether something else is wanted by now than is being brought; nil as
	// long as nothing is.
	newer atomic.Pointer[func(ctx context.Context) (bool, error)]
	held  atomic.Pointer[time.Time] // from when on the lease was given last

	over       context.CancelCauseFunc // of the context that everything of the attempt has
	superseded context.Context         // ends, besides, when there is something newer to bring
	supersede  context.CancelCauseFunc
	done       chan struct{}
	asking     atomic.Bool
	answered   atomic.Int64 // up to which want it is known whether there is something newer
	asked      sync.WaitGroup
}

// take takes a target. The context ends when the lease is lost; end has to be called.
func (w *Worker) take(ctx context.Context, id int64) (context.Context, *attempt, error) {
	asked := time.Now() // a lease begins before its answer is here
	t, from, err := w.Store.TakeTarget(ctx, id, w.Replica+" "+rand.Text()[:8], leaseFor)
	if err != nil {
		return ctx, nil, err
	}
	if from != "" {
		w.Log.WarnContext(ctx, "an attempt did not come to its end, and is taken over", "target", id, "cluster", t.Cluster, "from", from)
		w.Meter.TookOver(t.Cluster)
	}
	a := &attempt{w: w, target: t, done: make(chan struct{})}
	a.held.Store(&asked)
	ctx, a.over = context.WithCancelCause(ctx)
	a.superseded, a.supersede = context.WithCancelCause(ctx)
	go a.hold(ctx, t)
	return ctx, a, nil
}

// end gives the target back.
func (a *attempt) end(ctx context.Context) {
	a.over(nil)
	<-a.done
	a.asked.Wait()
	left, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewEvery)
	defer cancel()
	if err := a.w.Store.LeaveTarget(left, a.target); err != nil {
		a.w.Log.WarnContext(ctx, "a target is given back only when its lease ends", "target", a.target.ID, "error", err)
	}
}

// hold renews the lease, and ends the attempt when it cannot be for too long. (By the
// monotonic clock, whatever the injected one says: it is about this process.) t is the target
// as it was taken: what the attempt learns of it is not read here.
func (a *attempt) hold(ctx context.Context, t store.Target) {
	defer close(a.done)
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	a.answered.Store(t.Want)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		bounded, cancel := context.WithDeadline(ctx, a.until())
		want, err := a.w.Store.RenewTarget(bounded, t, leaseFor)
		cancel()
		switch {
		case err == nil:
			a.held.Store(&asked)
		case errors.Is(err, store.ErrTakenOver), time.Until(a.until()) <= 0:
			a.over(store.ErrTakenOver)
			return
		default:
			continue // the database may be back before the lease ends
		}
		if want != a.answered.Load() {
			a.askIfOld(ctx, want)
		}
	}
}

// askIfOld finds out, beside everything else, whether there is something newer to bring:
// reading the env repo may take longer than the lease lasts. What cannot be found out is
// asked again.
func (a *attempt) askIfOld(ctx context.Context, want int64) {
	newer := a.newer.Load()
	if newer == nil || !a.asking.CompareAndSwap(false, true) {
		return
	}
	a.asked.Go(func() {
		defer a.asking.Store(false)
		old, err := (*newer)(ctx)
		if err != nil && fault.KindOf(err).Retryable() {
			return
		}
		a.answered.Store(want)
		if old {
			a.supersede(errSuperseded)
		}
	})
}

// brings has the attempt end when what the newest commit renders to for its target is
// something else than s, and is not going to wait for its turn: a target must not be left
// with a half of s meanwhile.
func (a *attempt) brings(s syncing) {
	half := a.target
	half.RenderedHash = s.reached.RenderedHash
	newer := func(ctx context.Context) (bool, error) {
		is, err := a.w.rendered(ctx, half)
		if err != nil || is.reached.RenderedHash == half.RenderedHash {
			return false, err
		}
		turn, err := a.w.turn(ctx, half, is)
		return err == nil && !turn.Waits(), err
	}
	a.newer.Store(&newer)
}

// goOn is asked before every write to the cluster: nil to go on. This is where an
// attempt can be left and taken up again. Who wakes up after the lease has ended, because
// the machine was frozen, may ask before the lease could be renewed in vain.
func (a *attempt) goOn(context.Context) error {
	if time.Until(a.until()) <= 0 {
		a.over(store.ErrTakenOver)
	}
	return context.Cause(a.superseded)
}

// until is when the attempt has to stop, unless the lease is renewed.
func (a *attempt) until() time.Time { return a.held.Load().Add(leaseFor - leaseMargin) }
