package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

// What waits for its next attempt is worked on now, and clusters are asked again.
func TestARetryHasEverythingLookedAtNow(t *testing.T) {
	w := newWorld(t)
	eu := w.target("prod", "eu")
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	other := w.open("staging", w.artifact("1.7.0", digest("a")), 8, sha("2"))
	at := w.clock.now()
	w.must(w.store.RecordDryRun(w.ctx, p.ID, store.NewDryRun{Cluster: "eu", Rendered: "r", Outcome: store.DryRunRefused, Objects: []byte(`{}`), At: at}))
	w.exec(`UPDATE river.river_job SET state = 'retryable', scheduled_at = now() + interval '1 hour'`)
	before, beforeOther := w.promotion(p.ID), w.promotion(other.ID)

	woken, err := w.store.Retry(w.ctx, store.Retrying{Repo: w.repo.ID, App: "payments", Env: "prod", By: alice}, reconcile, syncing)
	w.must(err)
	if diff := cmp.Diff(store.Woken{Promotions: 1, Clusters: 1}, woken); diff != "" {
		t.Error(diff)
	}
	now, err := w.store.Target(w.ctx, eu.ID)
	w.must(err)
	if w.promotion(p.ID).Want != before.Want+1 || now.Want != eu.Want+1 {
		t.Error("nobody looks at the promotion, or at its cluster")
	}
	if w.promotion(other.ID).Want != beforeOther.Want {
		t.Error("another environment is looked at, too")
	}
	for kind, want := range map[string]int{"reconcile": 1, "sync": 1} {
		if n := w.count("SELECT count(*) FROM river.river_job WHERE kind = $1 AND state = 'available' AND scheduled_at <= now()", kind); n != want {
			t.Errorf("%d jobs to %s are worked on now, want %d", n, kind, want)
		}
	}
	runs, err := w.store.DryRuns(w.ctx, p.ID)
	w.must(err)
	if len(runs) != 1 || !runs[0].TriedAt.Equal(at.Add(-time.Hour)) {
		t.Errorf("the cluster is not asked again: %+v", runs)
	}
	actions := w.actions()
	if got := actions[len(actions)-1]; got != store.ActionRetried {
		t.Errorf("the log ends with %q", got)
	}
}

func TestWhatRunsWhereAndWhatIsOnItsWay(t *testing.T) {
	w := newWorld(t)
	at := w.target("prod", "eu")
	a := w.artifact("1.7.0", digest("a"))
	w.merge(w.open("prod", a, 7, sha("1")), bob, sha("m"))
	w.must(w.store.FinishSync(w.ctx, at, 0, store.Reached{Commit: sha("m"), Image: payments, Tag: "1.7.0", Digest: a.Digest, State: store.TargetHealthy}, after))
	w.open("prod", w.artifact("1.8.0", digest("b")), 9, sha("2"))

	got, err := w.store.Whereabouts(w.ctx, w.repo.ID)
	w.must(err)
	if len(got.Running) != 1 || got.Running[0].Target.Tag != "1.7.0" || got.Running[0].PullNumber != 7 || got.Running[0].MergedAt == nil {
		t.Errorf("what runs: %+v", got.Running)
	}
	var coming []string
	for _, c := range got.Coming {
		coming = append(coming, c.Tag+" "+c.State)
	}
	if diff := cmp.Diff([]string{"1.7.0 merged", "1.8.0 open"}, coming); diff != "" {
		t.Errorf("what is on its way (-want +got):\n%s", diff)
	}
}
