package store_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

// inWaves makes targets of payments in prod: eu, then us, then ap.
func (w *world) inWaves() map[string]store.Target {
	w.Helper()
	named := []store.NewTarget{
		{App: "payments", Env: "prod", Cluster: "eu", Branch: "main", Wave: 1},
		{App: "payments", Env: "prod", Cluster: "us", Branch: "main", Wave: 2},
		{App: "payments", Env: "prod", Cluster: "ap", Branch: "main", Wave: 3},
	}
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, rand.Text(), named, syncing))
	return w.targetsOfProd()
}

func (w *world) targetsOfProd() map[string]store.Target {
	w.Helper()
	targets, err := w.store.TargetsOfPair(w.ctx, w.repo.ID, "payments", "prod")
	w.must(err)
	by := map[string]store.Target{}
	for _, t := range targets {
		by[t.Cluster] = t
	}
	return by
}

// What changes in a wave has the later ones looked at, and nobody else; what does not
// change has nobody looked at.
func TestAWaveWakesTheLaterOnes(t *testing.T) {
	w := newWorld(t)
	other := w.target("staging", "eu")
	w.inWaves()
	reached := func(cluster string, r store.Reached) (woken []string) {
		t.Helper()
		before := w.targetsOfProd()
		w.must(w.store.FinishSync(w.ctx, before[cluster], 0, r, after))
		for _, name := range []string{"eu", "us", "ap"} {
			for range w.targetsOfProd()[name].Want - before[name].Want {
				woken = append(woken, name)
			}
		}
		return woken
	}
	healthy := store.Reached{Commit: sha("1"), RenderedHash: "one", Digest: digest("a"), State: store.TargetHealthy}
	for _, step := range []struct {
		story   string
		cluster string
		r       store.Reached
		woken   []string
	}{
		{"the first wave is healthy", "eu", healthy, []string{"us", "ap"}},
		{"and still is", "eu", healthy, nil},
		{"a commit changes nothing there", "eu", store.Reached{Commit: sha("2"), RenderedHash: "one", Digest: digest("a"), State: store.TargetHealthy}, nil},
		{"its configuration changes", "eu", store.Reached{Commit: sha("3"), RenderedHash: "two", Digest: digest("a"), State: store.TargetHealthy}, []string{"us", "ap"}},
		{"it falls ill", "eu", store.Reached{Commit: sha("3"), RenderedHash: "two", Digest: digest("a"), State: store.TargetFailed, Message: "no"}, []string{"us", "ap"}},
		{"the second wave waits", "us", store.Reached{State: store.TargetUnknown, Held: "us waits for wave 1."}, []string{"ap"}},
		{"for something else by now", "us", store.Reached{State: store.TargetUnknown, Held: "us waits for eu."}, []string{"ap"}},
		{"nobody comes after the last wave", "ap", healthy, nil},
	} {
		if diff := cmp.Diff(step.woken, reached(step.cluster, step.r)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", step.story, diff)
		}
	}
	now, err := w.store.Target(w.ctx, other.ID)
	w.must(err)
	if now.Want != other.Want {
		t.Error("staging was looked at for what happened in prod")
	}
}

// What a target waits for is kept, told to the promotions that wait, and gone when it
// waits no more.
func TestWhatATargetWaitsFor(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("7"))
	us := w.inWaves()["us"]
	woken := w.promotion(p.ID).Want
	until := w.clock.now().Add(10 * time.Minute)
	has := store.Reached{Commit: sha("1"), RenderedHash: "one", Digest: digest("0"), State: store.TargetHealthy}
	held := has
	held.Held, held.HeldUntil = "us waits for wave 1: eu has to stay healthy.", until
	w.must(w.store.FinishSync(w.ctx, us, 0, held, after))
	us = w.targetsOfProd()["us"]
	if us.Held != held.Held || us.HeldUntil == nil || !us.HeldUntil.Equal(until) || us.State != store.TargetHealthy || us.Digest != digest("0") {
		t.Errorf("it is %+v", us)
	}
	if w.promotion(p.ID).Want != woken+1 {
		t.Error("nobody tells that it waits")
	}
	if _, ok := store.HealthySince([]store.Target{us}, w.clock.now()); ok {
		t.Error("an environment is healthy while a cluster of it waits to get what is in Git")
	}

	w.must(w.store.WantStale(w.ctx, w.clock.now().Add(-time.Hour), syncing))
	if w.targetsOfProd()["us"].Want != us.Want {
		t.Error("it is looked at before its turn comes")
	}
	w.clock.pass(10 * time.Minute)
	w.must(w.store.WantStale(w.ctx, w.clock.now().Add(-time.Hour), syncing))
	if w.targetsOfProd()["us"].Want != us.Want+1 {
		t.Error("nobody looks at it when its turn comes")
	}

	w.must(w.store.StartTarget(w.ctx, us, store.TargetApplying, "Applying.", "two"))
	us = w.targetsOfProd()["us"]
	if us.Held != "" || us.HeldUntil != nil || us.RenderedHash != "two" || us.Digest != digest("0") {
		t.Errorf("its turn has come, and it is %+v", us)
	}
	held.Held, held.HeldUntil = "", time.Time{}
	w.must(w.store.FinishSync(w.ctx, us, 0, held, after))
	if us = w.targetsOfProd()["us"]; us.Held != "" || us.HeldUntil != nil {
		t.Errorf("it waits still: %+v", us)
	}
}

// The time that the next wave waits for is that of exactly the same manifests: of the
// digest it may be longer.
func TestSinceWhenATargetIsSteady(t *testing.T) {
	w := newWorld(t)
	w.inWaves()
	start := w.clock.now()
	for _, step := range []struct {
		story           string
		state, rendered string
		digest, steady  time.Duration // since the start; -1: not healthy
	}{
		{"1.7.0 is healthy", store.TargetHealthy, "one", 1 * time.Minute, 1 * time.Minute},
		{"and still is", store.TargetHealthy, "one", 1 * time.Minute, 1 * time.Minute},
		{"its configuration changes", store.TargetHealthy, "two", 1 * time.Minute, 3 * time.Minute},
		{"a pod crashes", store.TargetFailed, "two", -1, -1},
		{"it is healthy again", store.TargetHealthy, "two", 5 * time.Minute, 5 * time.Minute},
	} {
		w.clock.pass(time.Minute)
		w.must(w.store.FinishSync(w.ctx, w.targetsOfProd()["eu"], 0, store.Reached{
			Commit: sha("1"), RenderedHash: step.rendered, Digest: digest("a"), State: step.state, Message: step.story,
		}, after))
		eu := w.targetsOfProd()["eu"]
		if got := since(start, eu.HealthySince); got != step.digest {
			t.Errorf("%s: healthy since %v, want %v", step.story, got, step.digest)
		}
		if got := since(start, eu.SteadySince); got != step.steady {
			t.Errorf("%s: steady since %v, want %v", step.story, got, step.steady)
		}
	}
	// An attempt to bring something else that dies leaves no time behind.
	w.must(w.store.StartTarget(w.ctx, w.targetsOfProd()["eu"], store.TargetApplying, "Applying.", "three"))
	w.clock.pass(time.Minute)
	w.must(w.store.FinishSync(w.ctx, w.targetsOfProd()["eu"], 0, store.Reached{
		Commit: sha("3"), RenderedHash: "three", Digest: digest("a"), State: store.TargetHealthy,
	}, after))
	if got := since(start, w.targetsOfProd()["eu"].SteadySince); got != 6*time.Minute {
		t.Errorf("steady since %v, want 6m", got)
	}
}

func since(start time.Time, at *time.Time) time.Duration {
	if at == nil {
		return -1
	}
	return at.Sub(start)
}

// Waves that end side by side wake each other's successors, merges want all of them,
// surveys keep them: nobody waits in a circle.
func TestWavesDoNotWaitForEachOtherInACircle(t *testing.T) {
	w := newWorld(t)
	targets := w.inWaves()
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("7"))
	errs := make(chan error)
	const rounds = 40
	go func() {
		for range rounds {
			errs <- w.store.WantStale(w.ctx, w.clock.now().Add(time.Hour), syncing)
		}
	}()
	go func() {
		for range rounds {
			errs <- w.store.WakeRepo(w.ctx, w.repo.ID, reconcile)
		}
	}()
	for _, target := range targets {
		go func() {
			for round := range rounds {
				errs <- w.store.FinishSync(w.ctx, target, 0, store.Reached{State: store.TargetHealthy, Digest: digest("a"), Message: fmt.Sprint(round)}, after)
			}
		}()
	}
	w.merge(p, tagboat, sha("9"))
	for range (2 + len(targets)) * rounds {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
