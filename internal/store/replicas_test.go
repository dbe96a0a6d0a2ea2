package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/storetest"
)

// running marks a job of a delivery as one that a replica is working on.
func (w *world) running(delivery int64, replica string) {
	w.Helper()
	w.must(w.store.Enqueue(w.ctx, job.Deliver{Delivery: delivery}))
	w.exec(`UPDATE river.river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = ARRAY['before', $2]
		WHERE (args->>'delivery')::bigint = $1`, delivery, replica)
}

func (w *world) rescue(s *store.Store) int64 {
	w.Helper()
	n, err := s.RescueJobs(w.ctx)
	w.must(err)
	return n
}

// A replica that is killed cannot give its jobs back. Its connection ends with
// it, and the others see that.
func TestTheJobsOfADeadReplicaAreGivenBack(t *testing.T) {
	w := newWorld(t)
	other := storetest.Open(t)
	presence, err := w.store.Appear(w.ctx, "dead-soon")
	w.must(err)
	session := w.count(`SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	alive, err := w.store.Appear(w.ctx, "alive")
	w.must(err)
	defer alive.Leave(context.Background())
	w.running(1, "dead-soon")
	w.running(2, "dead-soon")
	w.running(3, "alive")
	w.exec(`INSERT INTO river.river_leader (elected_at, expires_at, leader_id) VALUES (now(), now() + interval '1 hour', 'dead-soon')`)

	if n := w.rescue(other); n != 0 {
		t.Fatalf("%d jobs of living replicas were taken", n)
	}
	w.must(presence.Check(w.ctx))

	w.exec("SELECT pg_terminate_backend($1)", session)
	rescued := int64(0)
	until(t, "the dead replica's jobs are given back", func() bool {
		rescued += w.rescue(other)
		return rescued > 0
	})
	if err := presence.Check(w.ctx); err == nil {
		t.Fatal("the presence of a replica without its connection still holds")
	}
	if rescued != 2 {
		t.Errorf("%d jobs were given back, want 2", rescued)
	}
	if n := w.count("SELECT count(*) FROM river.river_job WHERE state = 'running' AND attempted_by[2] = 'alive'"); n != 1 {
		t.Error("a living replica lost its job")
	}
	if n := w.count("SELECT count(*) FROM river.river_job WHERE state = 'available' AND attempt = 0"); n != 2 {
		t.Errorf("%d jobs wait, with their lost attempt given back; want 2", n)
	}
	if n := w.count("SELECT count(*) FROM river.river_leader"); n != 0 {
		t.Error("a dead replica still leads")
	}
	if n := w.rescue(other); n != 0 {
		t.Errorf("%d jobs were given back twice", n)
	}

	worked := make(chan int64, 2)
	w.work("second", func(workers *river.Workers) {
		river.AddWorker(workers, river.WorkFunc(func(_ context.Context, j *river.Job[job.Deliver]) error {
			worked <- j.Args.Delivery
			return nil
		}))
	})
	if a, b := <-worked, <-worked; a+b != 3 {
		t.Errorf("the next replica worked on %d and %d, want 1 and 2", a, b)
	}
}

// A replica that leaves in order gives up its presence at once.
func TestAReplicaThatLeavesIsGone(t *testing.T) {
	w := newWorld(t)
	presence, err := w.store.Appear(w.ctx, "leaving")
	w.must(err)
	w.running(1, "leaving")
	presence.Leave(w.ctx)
	until(t, "its job is given back", func() bool { return w.rescue(w.store) == 1 })
}

// A replica that is frozen keeps its connection, and so its jobs for a while. A target that
// it had taken is brought by another one as soon as the lease has ended.
func TestTheSyncsOfAFrozenReplicaAreGivenBack(t *testing.T) {
	w := newWorld(t)
	presence, err := w.store.Appear(w.ctx, "frozen")
	w.must(err)
	defer presence.Leave(context.Background())
	sync := func(target int64) {
		t.Helper()
		w.must(w.store.Enqueue(w.ctx, job.Sync{Target: target, Cluster: "dev"}))
		w.exec(`UPDATE river.river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = ARRAY['before', 'frozen']
			WHERE kind = 'sync' AND (args->>'target')::bigint = $1`, target)
	}
	given, held := w.target("dev", "dev"), w.target("staging", "dev")
	sync(given.ID)
	sync(held.ID)
	w.running(1, "frozen") // nothing would keep it from being done twice
	_, _, err = w.store.TakeTarget(w.ctx, held.ID, "frozen", time.Hour)
	w.must(err)
	taken, _, err := w.store.TakeTarget(w.ctx, given.ID, "frozen", time.Hour)
	w.must(err)
	if n := w.rescue(w.store); n != 0 {
		t.Fatalf("%d jobs were given back while their leases hold", n)
	}
	w.exec(`UPDATE target SET leased_until = clock_timestamp() - interval '1 s' WHERE id = $1`, given.ID)
	if n := w.rescue(w.store); n != 1 {
		t.Fatalf("%d jobs were given back, want that of the target whose lease has ended", n)
	}
	if n := w.count(`SELECT (args->>'target')::bigint FROM river.river_job WHERE state = 'available'`); int64(n) != given.ID {
		t.Errorf("the sync of target %d was given back, not that of %d", n, given.ID)
	}
	// The other one takes it, and the frozen one comes too late.
	_, _, err = w.store.TakeTarget(w.ctx, given.ID, "other", time.Hour)
	w.must(err)
	if err := w.store.KeepStock(w.ctx, taken, nil); !errors.Is(err, store.ErrTakenOver) {
		t.Errorf("the frozen one still writes: %v", err)
	}
	// Given back in order, a target has no lease that could end; its job is about to end.
	w.must(w.store.LeaveTarget(w.ctx, store.Target{ID: held.ID, Fence: 1}))
	if n := w.rescue(w.store); n != 0 {
		t.Errorf("%d jobs were taken from a replica that had given its target back", n)
	}
}
