package store_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

// stocked is an object in an inventory.
func stocked(t store.Target, kind, name, uid string) store.Stock {
	return store.Stock{TargetID: t.ID, Kind: kind, Namespace: "payments", Name: name, Version: "v1", Uid: uid, State: "written"}
}

// left are lines such as "payments prod eu: ConfigMap payments/a".
func (w *world) left() []string {
	w.Helper()
	left, err := w.store.Left(w.ctx)
	w.must(err)
	lines := []string{}
	for _, l := range left {
		lines = append(lines, strings.Join([]string{l.App, l.Env, l.Cluster}, " ")+": "+strings.Join(l.Named, ", "))
	}
	return lines
}

// What a target that leaves tagboat.yaml has in its cluster is told, until another target
// has it, or somebody has removed it, or it is back.
func TestWhatATargetLeavesBehind(t *testing.T) {
	w := newWorld(t)
	prod := w.target("prod", "eu")
	w.must(w.store.KeepStock(w.ctx, prod, []store.Stock{
		stocked(prod, "ConfigMap", "a", "1"), stocked(prod, "ConfigMap", "b", "2"), stocked(prod, "ConfigMap", "c", "3"),
		{TargetID: prod.ID, Kind: "ConfigMap", Namespace: "payments", Name: "never-written", Version: "v1", State: "intended"},
	}))
	expect := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), w.left()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	expect("while it is there")

	production := w.target("production", "eu") // as the environment is called now
	expect("once it is gone", "payments prod eu: ConfigMap payments/a, ConfigMap payments/b, ConfigMap payments/c")
	w.must(w.store.KeepStock(w.ctx, production, []store.Stock{stocked(production, "ConfigMap", "a", "1")}))
	id, err := w.store.StartSync(w.ctx, production.ID, sha("1"), "", "")
	w.must(err)
	w.must(w.store.FinishSync(w.ctx, production, id, store.Reached{State: store.TargetHealthy}, after))
	expect("once another has taken one over", "payments prod eu: ConfigMap payments/b, ConfigMap payments/c")

	// It is looked for what is left, where somebody reaches the cluster.
	want := func() int64 {
		row, err := w.store.Target(w.ctx, prod.ID)
		w.must(err)
		return row.Want
	}
	before := want()
	w.must(w.store.WantLeft(w.ctx, w.clock.now(), syncing))
	if want() != before {
		t.Error("a look is wanted that nobody can take")
	}
	w.must(w.store.Reach(w.ctx, "replica", []string{"eu"}))
	w.must(w.store.WantLeft(w.ctx, w.clock.now(), syncing))
	if want() != before+1 {
		t.Error("nobody looks")
	}
	w.must(w.store.ForgetStock(w.ctx, prod, []store.StockID{{Kind: "ConfigMap", Namespace: "payments", Name: "b"}}))
	w.must(w.store.Counted(w.ctx, prod))
	w.must(w.store.WantLeft(w.ctx, w.clock.now().Add(-time.Minute), syncing))
	if want() != before+1 {
		t.Error("a look is wanted so soon after the last one")
	}
	expect("once somebody has removed one", "payments prod eu: ConfigMap payments/c")

	w.target("prod", "eu")
	expect("once it is back", "payments production eu: ConfigMap payments/a")
}

// What another target has had before its place is empty is forgotten when that goes.
func TestATargetThatGoesAfterItsObjects(t *testing.T) {
	w := newWorld(t)
	both := []store.NewTarget{{App: "payments", Env: "dev", Cluster: "eu", Branch: "main"}, {App: "payments", Env: "prod", Cluster: "eu", Branch: "main"}}
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, rand.Text(), both, syncing))
	targets, err := w.store.Targets(w.ctx)
	w.must(err)
	for _, target := range targets {
		w.must(w.store.KeepStock(w.ctx, target, []store.Stock{stocked(target, "ConfigMap", "a", "1")}))
	}
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, rand.Text(), both[1:], syncing))
	if left := w.left(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	if kept, err := w.store.Inventory(w.ctx, targets[1].ID); err != nil || len(kept) != 1 {
		t.Errorf("the other one has %v, %v", kept, err)
	}
}

// Nobody looks any more what somebody has changed there: it is over, and that is told.
func TestTheDriftOfATargetThatIsGoneEnds(t *testing.T) {
	w := newWorld(t)
	prod := w.target("prod", "eu")
	w.must(w.store.FinishSync(w.ctx, prod, 0, store.Reached{State: store.TargetHealthy, Drift: []byte(`{"objects":[]}`), DriftCode: "a", Notes: []string{"changed past Git"}}, after))
	w.exec("DELETE FROM river.river_job")
	w.must(w.store.EndLeftDrifts(w.ctx, w.repo.ID, telling))
	if n := w.count("SELECT count(*) FROM drift WHERE ended_at IS NULL"); n != 1 || w.jobs("tell_drift") != 0 {
		t.Errorf("it has ended before its target went: %d are open", n)
	}
	w.target("production", "eu")
	for range 2 {
		w.must(w.store.EndLeftDrifts(w.ctx, w.repo.ID, telling))
	}
	if n := w.count("SELECT count(*) FROM drift WHERE ended_at IS NULL"); n != 0 || w.jobs("tell_drift") != 1 {
		t.Errorf("%d are open, and %d jobs tell", n, w.jobs("tell_drift"))
	}
	if row, err := w.store.Target(w.ctx, prod.ID); err != nil || row.DriftCode != "" || row.DriftSince != nil || len(row.Notes) != 0 {
		t.Errorf("the target says still %+v, %v", row, err)
	}
}
