package store_test

import (
	"context"
	crand "crypto/rand"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// work runs real workers on the test's database until the test ends.
func (w *world) work(replica string, add func(*river.Workers)) {
	w.Helper()
	workers, queues := river.NewWorkers(), maps.Clone(job.Workers)
	add(workers)
	targets, err := w.store.Targets(w.ctx)
	w.must(err)
	for _, t := range targets {
		maps.Copy(queues, job.Syncs(t.Cluster))
	}
	client, err := river.NewClient(riverpgxv5.New(w.store.Pool()), &river.Config{
		ID: replica, Schema: store.QueueSchema, Queues: queues, Workers: workers,
		FetchCooldown: time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	w.must(err)
	w.must(client.Start(w.ctx))
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.StopAndCancel(ctx); err != nil {
			w.Error(err)
		}
	})
}

// idle waits until no job waits or runs.
func (w *world) idle() {
	w.Helper()
	until(w.T, "the queue is empty", func() bool {
		return w.count("SELECT count(*) FROM river.river_job WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'pending')") == 0
	})
}

// looks remembers the last want that the work on each row had seen.
type looks struct {
	mu   sync.Mutex
	seen map[int64]int64
	runs int
}

func (l *looks) at(id, want int64) {
	l.mu.Lock()
	l.seen[id] = max(l.seen[id], want)
	l.runs++
	l.mu.Unlock()
	time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // what a look takes
}

const (
	wantedRows = 12
	wantsEach  = 4
)

// raise wants every row several times at once with the others, round by round, and
// after each round, when the queue is empty, calls check.
func (w *world) raise(rounds int, ids []int64, want func(id int64) error, check func()) {
	w.Helper()
	for range rounds {
		var group sync.WaitGroup
		for _, id := range ids {
			group.Go(func() {
				for range wantsEach {
					if err := want(id); err != nil {
						w.Error(err)
					}
					time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
				}
			})
		}
		group.Wait()
		w.idle()
		check()
	}
}

// I3: while one job looks at a promotion, another for it is dropped by the queue.
// What was wanted by it is looked at nevertheless.
func TestNoWantedLookIsLost(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	var ids []int64
	for i := range wantedRows {
		ids = append(ids, w.propose("env"+string(rune('a'+i)), a).ID)
	}
	l := &looks{seen: map[int64]int64{}}
	w.work("one", func(workers *river.Workers) {
		river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, j *river.Job[job.Reconcile]) error {
			for {
				p, err := w.store.Promotion(ctx, j.Args.Promotion)
				if err != nil {
					return err
				}
				l.at(p.ID, p.Want)
				if again, err := store.SettlePromotion(ctx, w.store, p.ID, p.Want, time.Time{}, j); err != nil || !again {
					return err
				}
			}
		}))
	})
	const rounds = 15
	w.raise(rounds, ids, func(id int64) error { return w.store.Wake(w.ctx, id, reconcile) }, func() {
		for _, id := range ids {
			if p := w.promotion(id); p.Want != p.Got || p.Want != l.seen[id] {
				t.Errorf("promotion %d is wanted %d times; %d of it is settled, and %d was looked at", id, p.Want, p.Got, l.seen[id])
			}
		}
	})
	if all := wantedRows * rounds * wantsEach; l.runs > all || l.runs < wantedRows*rounds {
		t.Errorf("%d looks at %d wants", l.runs, all)
	}
}

// The same for clusters: the last commit that was wanted is brought to each.
func TestNoWantedSyncIsLost(t *testing.T) {
	w := newWorld(t)
	merged := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.merge(merged, tagboat, sha("9"))
	var named []store.NewTarget
	for i := range wantedRows {
		named = append(named, store.NewTarget{App: "payments", Env: "prod", Cluster: "cluster" + string(rune('a'+i)), Branch: "main"})
	}
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, crand.Text(), named, syncing))
	targets, err := w.store.Targets(w.ctx)
	w.must(err)
	var ids []int64
	for _, target := range targets {
		ids = append(ids, target.ID)
	}
	l, woken := &looks{seen: map[int64]int64{}}, &looks{seen: map[int64]int64{}}
	w.work("one", func(workers *river.Workers) {
		river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, j *river.Job[job.Sync]) error {
			for {
				target, err := w.store.Target(ctx, j.Args.Target)
				if err != nil {
					return err
				}
				l.at(target.ID, target.Want)
				if again, err := store.SettleTarget(ctx, w.store, target, reconcile, j); err != nil || !again {
					return err
				}
			}
		}))
		river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, j *river.Job[job.Reconcile]) error {
			p, err := w.store.Promotion(ctx, j.Args.Promotion)
			if err != nil {
				return err
			}
			woken.at(p.ID, p.Want)
			_, err = store.SettlePromotion(ctx, w.store, p.ID, p.Want, time.Time{}, j)
			if err == nil && w.promotion(p.ID).Want != p.Want {
				return river.JobSnooze(0)
			}
			return err
		}))
	})
	// A survey wants all of them at once.
	survey := func(int64) error { return w.store.KeepTargets(w.ctx, w.repo.ID, crand.Text(), named, syncing) }
	w.raise(4, ids[:3], survey, func() {
		for _, id := range ids {
			target, err := w.store.Target(w.ctx, id)
			w.must(err)
			if target.Want != target.Got || target.Want != l.seen[id] {
				t.Errorf("target %d is wanted %d times; %d of it is settled, and %d was brought", id, target.Want, target.Got, l.seen[id])
			}
		}
	})
	if woken.runs == 0 {
		t.Error("the promotion that waits for its clusters was never looked at")
	}
}

// A look that was overtaken does not settle what it has not seen.
func TestAnOldLookSettlesNothingNew(t *testing.T) {
	w := newWorld(t)
	p := w.propose("prod", w.artifact("1.7.0", digest("a")))
	settled := make(chan bool, 10)
	var once sync.Once
	w.work("one", func(workers *river.Workers) {
		river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, j *river.Job[job.Reconcile]) error {
			seen, err := w.store.Promotion(ctx, j.Args.Promotion)
			if err != nil {
				return err
			}
			once.Do(func() { err = w.store.Wake(ctx, seen.ID, reconcile) }) // while we look
			if err != nil {
				return err
			}
			again, err := store.SettlePromotion(ctx, w.store, seen.ID, seen.Want, w.clock.now().Add(time.Hour), j)
			settled <- again
			if again {
				return river.JobSnooze(0)
			}
			return err
		}))
	})
	if first, second := <-settled, <-settled; !first || second {
		t.Errorf("the first look was overtaken (%v), the second was not (%v)", first, second)
	}
	w.idle()
	p = w.promotion(p.ID)
	if p.Got != 2 || p.Want != 2 || p.NextCheck == nil || !p.NextCheck.Equal(w.clock.now().Add(time.Hour)) {
		t.Errorf("want %d, got %d, next check %v", p.Want, p.Got, p.NextCheck)
	}
}
