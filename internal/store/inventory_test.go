package store_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

func stock(target int64, name, state string) store.Stock {
	return store.Stock{TargetID: target, Kind: "ConfigMap", Namespace: "payments", Name: name, Version: "v1", Uid: "uid-" + name, Hash: "h", Fingerprint: "f", State: state}
}

// What is kept is there for whoever comes next, until it is forgotten; and each target
// has an inventory of its own.
func TestAnInventoryIsKept(t *testing.T) {
	w := newWorld(t)
	w.target("prod", "us")
	id := w.target("prod", "eu").ID
	eu, _, err := w.store.TakeTarget(w.ctx, id, "replica 1", time.Minute)
	w.must(err)
	w.must(w.store.KeepStock(w.ctx, eu, []store.Stock{stock(id, "settings", "intended"), stock(id, "old", "written")}))
	now := stock(id, "settings", "written")
	w.must(w.store.KeepStock(w.ctx, eu, []store.Stock{now}))
	w.must(w.store.ForgetStock(w.ctx, eu, []store.StockID{{Kind: "ConfigMap", Namespace: "payments", Name: "old"}, {Kind: "ConfigMap", Namespace: "payments", Name: "never was"}}))
	got, err := w.store.Inventory(w.ctx, id)
	w.must(err)
	if diff := cmp.Diff([]store.Stock{now}, got); diff != "" {
		t.Error(diff)
	}
	w.must(w.store.KeepStock(w.ctx, eu, nil))
	w.must(w.store.ForgetStock(w.ctx, eu, nil))
	w.must(w.store.Counted(w.ctx, eu))
	if row, err := w.store.Target(w.ctx, id); err != nil || row.CountedAt == nil || !row.CountedAt.Equal(w.clock.now()) {
		t.Errorf("counted at %v, %v", row.CountedAt, err)
	}
	name, salt, err := w.store.Installation(w.ctx)
	if again, same, _ := w.store.Installation(w.ctx); err != nil || len(name) != 36 || again != name || len(salt) != 32 || !bytes.Equal(salt, same) {
		t.Errorf("the installation is %q, then %q, %v", name, again, err)
	}
}

// One attempt at a time has a target, and what an older one still says is refused.
func TestWhoHasATarget(t *testing.T) {
	w := newWorld(t)
	id := w.target("prod", "eu").ID
	first, _, err := w.store.TakeTarget(w.ctx, id, "replica 1", time.Hour)
	w.must(err)
	if _, _, err := w.store.TakeTarget(w.ctx, id, "replica 2", time.Hour); !fault.Is(err, fault.RateLimited) || fault.UntilOf(err).Before(w.clock.now().Add(50*time.Minute)) {
		t.Errorf("the second one got %v until %v", err, fault.UntilOf(err))
	}
	if want, err := w.store.RenewTarget(w.ctx, first, time.Hour); err != nil || want != first.Want {
		t.Errorf("renewed: wanted %d times, %v", want, err)
	}
	w.must(w.store.LeaveTarget(w.ctx, first))
	second, from, err := w.store.TakeTarget(w.ctx, id, "replica 2", 0) // its lease ends at once
	w.must(err)
	third, over, err := w.store.TakeTarget(w.ctx, id, "replica 3", time.Hour)
	w.must(err)
	if !(first.Fence < second.Fence && second.Fence < third.Fence) {
		t.Errorf("fences %d, %d, %d do not rise", first.Fence, second.Fence, third.Fence)
	}
	if from != "" || over != "replica 2" { // the first gave it back, the second did not
		t.Errorf("taken from %q, then from %q", from, over)
	}

	zombie := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrTakenOver) {
			t.Errorf("an older attempt could %s: %v", what, err)
		}
	}
	zombie("keep stock", w.store.KeepStock(w.ctx, second, []store.Stock{stock(id, "zombie", "written")}))
	zombie("forget stock", w.store.ForgetStock(w.ctx, second, []store.StockID{{Name: "x"}}))
	zombie("count", w.store.Counted(w.ctx, second))
	zombie("start", w.store.StartTarget(w.ctx, second, store.TargetApplying, "", ""))
	zombie("finish", w.store.FinishSync(w.ctx, second, 0, store.Reached{State: store.TargetHealthy, Commit: sha("9")}, after))
	_, err = w.store.RenewTarget(w.ctx, second, time.Hour)
	zombie("renew", err)
	w.must(w.store.LeaveTarget(w.ctx, second)) // which gives nothing of the third away
	if _, _, err := w.store.TakeTarget(w.ctx, id, "replica 4", time.Hour); !fault.Is(err, fault.RateLimited) {
		t.Errorf("the third one's target was given away: %v", err)
	}
	got, err := w.store.Target(w.ctx, id)
	w.must(err)
	if inventory, err := w.store.Inventory(w.ctx, id); err != nil || len(inventory) != 0 || got.State == store.TargetHealthy {
		t.Errorf("the zombie has left %+v and %s, %v", inventory, got.State, err)
	}
	w.must(w.store.FinishSync(w.ctx, third, 0, store.Reached{State: store.TargetHealthy, Commit: sha("3")}, after))
}

// A suspicion is kept until a look that began after it has ended.
func TestASuspicionIsNotLost(t *testing.T) {
	w := newWorld(t)
	id := w.target("prod", "eu").ID
	target := func() store.Target {
		row, err := w.store.Target(w.ctx, id)
		w.must(err)
		return row
	}
	before := target()
	w.must(w.store.Suspect(w.ctx, before, syncing))
	seen := target()
	if seen.Want != before.Want+1 || seen.Suspected == seen.Examined {
		t.Errorf("suspected, it is %+v", seen)
	}
	w.must(w.store.Suspect(w.ctx, seen, syncing))
	w.must(w.store.FinishSync(w.ctx, seen, 0, store.Reached{State: store.TargetHealthy}, after))
	if now := target(); now.Suspected == now.Examined {
		t.Error("what was suspected during the look is taken for examined")
	}
	w.must(w.store.FinishSync(w.ctx, target(), 0, store.Reached{State: store.TargetHealthy, Unseen: true}, after))
	if now := target(); now.Suspected == now.Examined {
		t.Error("what nobody could look at is taken for examined")
	}
	w.must(w.store.FinishSync(w.ctx, target(), 0, store.Reached{State: store.TargetHealthy}, after))
	if now := target(); now.Suspected != now.Examined {
		t.Error("examined, it is suspected still")
	}
}

// What differs is told with since when: for as long as anything does.
func TestSinceWhenATargetDiffers(t *testing.T) {
	w := newWorld(t)
	id := w.target("prod", "eu").ID
	start := w.clock.now()
	for _, step := range []struct {
		code string
		want bool
	}{{"", false}, {"a", true}, {"b", true}, {"", false}} {
		row, err := w.store.Target(w.ctx, id)
		w.must(err)
		w.must(w.store.FinishSync(w.ctx, row, 0, store.Reached{State: store.TargetHealthy, Drift: []byte(`{"a": 1}`), DriftCode: step.code}, after))
		row, err = w.store.Target(w.ctx, id)
		w.must(err)
		if (row.DriftSince != nil) != step.want || step.want && !row.DriftSince.Equal(start.Add(time.Minute)) {
			t.Errorf("%q: since %v", step.code, row.DriftSince)
		}
		w.clock.pass(time.Minute)
	}
}

// A cluster that a living process brings is reached; what nobody brings is told.
func TestWhoReachesWhat(t *testing.T) {
	w := newWorld(t)
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, "head", []store.NewTarget{
		{App: "payments", Env: "prod", Cluster: "eu", Branch: "main"}, {App: "payments", Env: "prod", Cluster: "us", Branch: "main"},
	}, syncing))
	unreached := func(want ...string) {
		t.Helper()
		targets, err := w.store.Unreached(w.ctx)
		w.must(err)
		got := []string{}
		for _, t := range targets {
			got = append(got, t.Cluster)
		}
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Errorf("nobody brings (-want +got):\n%s", diff)
		}
	}
	unreached("eu", "us")
	w.must(w.store.Reach(w.ctx, "replica 1", []string{"eu", "us"}))
	w.must(w.store.Reach(w.ctx, "replica 2", []string{"us"}))
	unreached()
	w.must(w.store.Reach(w.ctx, "replica 1", []string{"eu"}))
	unreached()
	w.must(w.store.Reach(w.ctx, "replica 2", nil))
	unreached("us")
	w.exec("UPDATE reach SET seen_at = seen_at - interval '11 minutes'")
	unreached("eu", "us")
	w.must(w.store.Reach(w.ctx, "replica 2", nil))
	unreached("eu", "us")
}

// Of a cluster that nobody brings any more it stays known until when somebody did, whoever
// comes and goes: that nobody ever has is something else.
func TestSinceWhenNobodyReachesACluster(t *testing.T) {
	w := newWorld(t)
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, "head", []store.NewTarget{
		{App: "payments", Env: "prod", Cluster: "eu", Branch: "main"}, {App: "payments", Env: "prod", Cluster: "us", Branch: "main"},
	}, syncing))
	w.must(w.store.Reach(w.ctx, "first", []string{"eu"}))
	w.exec("UPDATE reach SET seen_at = seen_at - interval '1 hour'")
	w.must(w.store.Reach(w.ctx, "second", []string{"eu"}))
	w.must(w.store.Reach(w.ctx, "server", []string{"staging"}))
	var last time.Time
	w.must(w.store.Pool().QueryRow(w.ctx, "UPDATE reach SET seen_at = seen_at - interval '3 minutes' WHERE replica = 'second' RETURNING seen_at").Scan(&last))
	for range 2 {
		w.must(w.store.Reach(w.ctx, "server", []string{"staging"}))
		targets, err := w.store.Unreached(w.ctx)
		w.must(err)
		if len(targets) != 2 || !targets[0].Since.Equal(last) || !targets[1].Since.IsZero() {
			t.Fatalf("nobody brings %+v; eu was brought until %s", targets, last)
		}
	}
	for cluster, want := range map[string]struct {
		since time.Time
		now   bool
	}{"eu": {last, false}, "us": {}, "staging": {now: true}} {
		since, now, err := w.store.LastReached(w.ctx, cluster)
		if w.must(err); now != want.now || !now && !since.Equal(want.since) {
			t.Errorf("%s was brought at %s, now: %t", cluster, since, now)
		}
	}
	counts, err := w.store.Counts(w.ctx)
	w.must(err)
	for _, c := range counts.Clusters {
		if c.Reached {
			t.Errorf("%s counts as one that somebody brings", c.Cluster)
		}
	}
}

// A yes is to one list that waits. When the list is another one, or has gone, and comes
// back months later, nobody has said yes to that.
func TestAYesEndsWithItsList(t *testing.T) {
	w := newWorld(t)
	id := w.target("prod", "eu").ID
	look := func(code string) {
		t.Helper()
		row, err := w.store.Target(w.ctx, id)
		w.must(err)
		w.must(w.store.FinishSync(w.ctx, row, 0, store.Reached{State: store.TargetHealthy, Surplus: []byte(`{"objects":["x"]}`), SurplusCode: code}, after))
	}
	said := func(code string, want bool) {
		t.Helper()
		if _, got, err := w.store.PruneApproved(w.ctx, id, code); err != nil || got != want {
			t.Errorf("somebody has said yes to %s: %v, %v", code, got, err)
		}
	}
	yes := store.Yes{Repo: w.repo.ID, App: "payments", Env: "prod", Code: "aaaa", By: alice}
	look("aaaa")
	other := yes
	other.Code = "bbbb"
	if agreed, err := w.store.ApprovePrune(w.ctx, other, syncing); err != nil || len(agreed) != 0 {
		t.Errorf("a yes to no list: %+v, %v", agreed, err)
	}
	agreed, err := w.store.ApprovePrune(w.ctx, yes, syncing)
	w.must(err)
	if len(agreed) != 1 || agreed[0].ID != id {
		t.Errorf("agreed for %+v", agreed)
	}
	look("aaaa")
	said("aaaa", true)
	look("")
	look("aaaa")
	said("aaaa", false)
}

// Where nobody has looked, the time of the last look stays.
func TestWhatNobodyHasLookedAt(t *testing.T) {
	w := newWorld(t)
	before := w.target("prod", "eu")
	w.clock.pass(time.Hour)
	w.must(w.store.FinishSync(w.ctx, before, 0, store.Reached{State: store.TargetHealthy, Unseen: true}, after))
	if row, err := w.store.Target(w.ctx, before.ID); err != nil || !row.UpdatedAt.Equal(before.UpdatedAt) || row.HealthySeen != nil {
		t.Errorf("looked at %v and seen healthy at %v, %v", row.UpdatedAt, row.HealthySeen, err)
	}
}

// Who waits for an attempt that nobody is going to make hears of it, also where that is
// said as it was before.
func TestWhoWaitsInVainIsWoken(t *testing.T) {
	w := newWorld(t)
	target := w.target("prod", "eu")
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.merge(p, tagboat, sha("9"))
	vain := store.Reached{State: store.TargetFailed, Message: "No Tagboat reaches it.", Vain: true}
	for range 2 {
		before := w.promotion(p.ID)
		row, err := w.store.Target(w.ctx, target.ID)
		w.must(err)
		w.must(w.store.FinishSync(w.ctx, row, 0, vain, after))
		if now := w.promotion(p.ID); now.Want == before.Want {
			t.Error("the promotion that waits for it is not woken")
		}
		if row, err = w.store.Target(w.ctx, target.ID); err != nil || row.Got != row.Want {
			t.Errorf("wanted %d times and got %d, %v", row.Want, row.Got, err)
		}
	}
}
