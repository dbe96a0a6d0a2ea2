package store_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

func TestTargetsAreThoseThatAreNamed(t *testing.T) {
	w := newWorld(t)
	keep := func(clusters ...string) (known []string) {
		t.Helper()
		var named []store.NewTarget
		for _, c := range clusters {
			named = append(named, store.NewTarget{App: "payments", Env: "prod", Cluster: c, Branch: "main"})
		}
		w.must(w.store.KeepTargets(w.ctx, w.repo.ID, rand.Text(), named, syncing))
		targets, err := w.store.Targets(w.ctx)
		w.must(err)
		for _, t := range targets {
			known = append(known, fmt.Sprintf("%s %s, wanted %d times", t.Cluster, t.State, t.Want))
		}
		return known
	}
	if diff := cmp.Diff([]string{"eu unknown, wanted 1 times", "us unknown, wanted 1 times"}, keep("us", "eu")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"eu unknown, wanted 2 times"}, keep("eu")); diff != "" {
		t.Errorf("us is not named any more:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"eu unknown, wanted 3 times", "us unknown, wanted 2 times"}, keep("eu", "us")); diff != "" {
		t.Errorf("us is back:\n%s", diff)
	}
	if n := w.jobs("sync"); n != 2 {
		t.Errorf("%d sync jobs wait for two targets", n)
	}
	other := w.envRepo("other")
	w.must(w.store.KeepTargets(w.ctx, other.ID, rand.Text(), nil, syncing))
	if targets, err := w.store.TargetsOfPair(w.ctx, w.repo.ID, "payments", "prod"); err != nil || len(targets) != 2 {
		t.Errorf("another env repo's targets changed ours: %+v, %v", targets, err)
	}
}

// The contiguous healthy time is that of one digest.
func TestHowLongATargetIsHealthy(t *testing.T) {
	w := newWorld(t)
	id := w.target("prod", "eu").ID
	start := w.clock.now()
	for _, step := range []struct {
		story         string
		state, digest string
		since         time.Duration // since the start; -1: not healthy
	}{
		{"1.7.0 is healthy", store.TargetHealthy, digest("a"), 1 * time.Minute},
		{"and still is", store.TargetHealthy, digest("a"), 1 * time.Minute},
		{"a pod crashes", store.TargetFailed, digest("a"), -1},
		{"it is healthy again", store.TargetHealthy, digest("a"), 4 * time.Minute},
		{"1.7.1 comes, healthy", store.TargetHealthy, digest("b"), 5 * time.Minute},
		{"the cluster is out of reach", store.TargetUnreachable, digest("b"), -1},
		{"and back", store.TargetHealthy, digest("b"), 7 * time.Minute},
	} {
		w.clock.pass(time.Minute)
		target, err := w.store.Target(w.ctx, id)
		w.must(err)
		w.must(w.store.FinishSync(w.ctx, target, 0, store.Reached{Commit: sha("1"), Digest: step.digest, State: step.state, Message: step.story}, after))
		target, err = w.store.Target(w.ctx, id)
		w.must(err)
		got := time.Duration(-1)
		if target.HealthySince != nil {
			got = target.HealthySince.Sub(start)
		}
		if got != step.since {
			t.Errorf("%s: healthy since %v, want %v", step.story, got, step.since)
		}
	}
}

// While no process serves its cluster, a target waits. Since when it was healthy stays known
// and counts for as long as any time without a look; what came to no end does not.
func TestNoProcessServesATarget(t *testing.T) {
	w := newWorld(t)
	id := w.target("prod", "eu").ID
	target := func() store.Target {
		t.Helper()
		row, err := w.store.Target(w.ctx, id)
		w.must(err)
		return row
	}
	healthy := store.Reached{Commit: sha("1"), Digest: digest("a"), RenderedHash: "r", State: store.TargetHealthy}
	away := healthy
	away.State, away.Message, away.Unseen, away.Remembers = store.TargetWaiting, store.NobodyServes+"eu.", true, true
	finish := func(r store.Reached) store.Target {
		t.Helper()
		w.must(w.store.FinishSync(w.ctx, target(), 0, r, after))
		return target()
	}
	start := finish(healthy).HealthySince
	for _, step := range []struct {
		story string
		pass  time.Duration
		seen  bool
		same  bool // when somebody has looked again, it is healthy for as long as before
	}{
		{"for minutes", store.Watched, true, true},
		{"for longer", store.Watched + time.Second, false, false},
	} {
		finish(away)
		is, now := finish(away), w.clock.pass(step.pass) // told twice
		if _, ok := store.HealthySince([]store.Target{is}, now); !store.Unserved(is) || ok != step.seen || !is.HealthySince.Equal(*start) || !is.SteadySince.Equal(*start) {
			t.Errorf("%s: it is %s, which counts: %t; healthy since %v, steady since %v", step.story, is.State, ok, is.HealthySince, is.SteadySince)
		}
		if back := finish(healthy); back.HealthySince.Equal(*start) != step.same || back.SteadySince.Equal(*start) != step.same {
			t.Errorf("%s: it is healthy since %v, and steady since %v", step.story, back.HealthySince, back.SteadySince)
		}
	}
	away.Remembers = false
	if is := finish(away); is.HealthySince != nil || store.Seen(is, w.clock.now()) {
		t.Errorf("an attempt was broken off: it is healthy since %v", is.HealthySince)
	}
}

// What was healthy counts on through what Tagboat may well miss, such as a start of its
// own; after longer it counts anew.
func TestNobodyKnowsHowATargetWasWhileNobodyLooked(t *testing.T) {
	w := newWorld(t)
	id := w.target("prod", "eu").ID
	start := w.clock.now()
	look := func() store.Target {
		t.Helper()
		target, err := w.store.Target(w.ctx, id)
		w.must(err)
		var r store.Reached
		r.Commit, r.Digest, r.RenderedHash, r.State = sha("1"), digest("a"), "r", store.TargetHealthy
		w.must(w.store.FinishSync(w.ctx, target, 0, r, after))
		target, err = w.store.Target(w.ctx, id)
		w.must(err)
		return target
	}
	look()
	for _, step := range []struct {
		story string
		pass  time.Duration
		since time.Duration // since the start
		seen  bool          // before that look, what was known still counted
	}{
		{"a minute later", time.Minute, 0, true},
		{"after a restart", store.Watched, 0, true},
		{"after an outage", store.Watched + time.Second, 2*store.Watched + time.Minute + time.Second, false},
	} {
		now := w.clock.pass(step.pass)
		before, err := w.store.Target(w.ctx, id)
		w.must(err)
		if _, ok := store.HealthySince([]store.Target{before}, now); ok != step.seen || store.Seen(before, now) != step.seen {
			t.Errorf("%s: what is known counts %v", step.story, ok)
		}
		after := look()
		if got := after.HealthySince.Sub(start); got != step.since || !after.SteadySince.Equal(*after.HealthySince) {
			t.Errorf("%s: healthy since %s, want %s; steady since %s", step.story, got, step.since, after.SteadySince.Sub(start))
		}
	}
}

// Nobody builds on what is not ready, from the moment that this is noticed; when it is
// ready again at the same look, it has been healthy all along.
func TestNobodyBuildsOnWhatIsNotReady(t *testing.T) {
	w := newWorld(t)
	id := w.target("prod", "eu").ID
	row := func() store.Target {
		t.Helper()
		target, err := w.store.Target(w.ctx, id)
		w.must(err)
		return target
	}
	healthy := store.Reached{Commit: sha("1"), Digest: digest("a"), RenderedHash: "r", State: store.TargetHealthy}
	w.must(w.store.FinishSync(w.ctx, row(), 0, healthy, after))
	since := *row().HealthySince
	looked := row()
	w.clock.pass(time.Minute)
	w.must(w.store.AilTarget(w.ctx, looked, "0 of 2 are ready", after))
	if is := row(); store.Seen(is, w.clock.now()) || is.Message != "0 of 2 are ready" {
		t.Errorf("what is not ready counts as seen healthy: %s, %q", is.State, is.Message)
	}
	healthy.Ailed = true
	w.must(w.store.FinishSync(w.ctx, looked, 0, healthy, after))
	if is := row(); !store.Seen(is, w.clock.now()) || !is.HealthySince.Equal(since) || !is.SteadySince.Equal(since) {
		t.Errorf("it is %s, healthy since %s, want %s", is.State, is.HealthySince, since)
	}
	older := looked
	older.Fence--
	if err := w.store.AilTarget(w.ctx, older, "", after); !errors.Is(err, store.ErrTakenOver) {
		t.Errorf("an older attempt writes: %v", err)
	}
}

// A program that crashes may say anything, and that it has failed is written down all the
// same: an attempt whose end is not would be made for ever.
func TestWhatAContainerSaysIsKeptWhateverItIs(t *testing.T) {
	w := newWorld(t)
	target := w.target("prod", "eu")
	words := "its container said: \x00\xffpanic"
	r := store.Reached{Commit: sha("1"), Digest: digest("a"), State: store.TargetFailed, Message: words, Held: words, Notes: []string{words},
		Pruned: []store.PrunedObject{{Object: "ConfigMap a", Outcome: "kept", Why: words}}, Drift: []byte(`{"objects":[{"object":"ConfigMap a","why":"\u0000"}]}`), DriftCode: "d"}
	w.must(w.store.AilTarget(w.ctx, target, words, after))
	target, err := w.store.NoteDrift(w.ctx, target, r, after)
	w.must(err)
	w.must(w.store.FinishSync(w.ctx, target, 0, r, after))
	target, err = w.store.Target(w.ctx, target.ID)
	w.must(err)
	if want := "its container said: \ufffd\ufffdpanic"; target.Message != want || target.Held != want || !cmp.Equal(target.Notes, []string{want}) {
		t.Errorf("it says %q, %q, %q", target.Message, target.Held, target.Notes)
	}
	w.must(w.store.StartTarget(w.ctx, target, store.TargetApplying, words, ""))
}

// A target that waits for a measurement was brought what it should have, and remembers
// since when what is out of bounds.
func TestAMeasurementIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	target := w.target("prod", "eu")
	sync, err := w.store.StartSync(w.ctx, target.ID, sha("1"), "1.7.0", digest("a"))
	w.must(err)
	since := w.clock.now()
	w.must(w.store.FinishSync(w.ctx, target, sync, store.Reached{
		Commit: sha("1"), Digest: digest("a"), State: store.TargetWaiting, Message: "out of bounds", Violations: store.Violations{"errors": {Since: since, Seen: since}},
	}, after))
	kept, err := w.store.Target(w.ctx, target.ID)
	w.must(err)
	if len(kept.Violations) != 1 || !kept.Violations["errors"].Since.Equal(since) || !kept.Violations["errors"].Seen.Equal(since) || kept.HealthySince != nil {
		t.Errorf("kept %+v", kept)
	}
	if _, ok := store.HealthySince([]store.Target{kept}, w.clock.now()); ok {
		t.Error("it counts as healthy")
	}
	if commit, failed, err := w.store.SyncedTo(w.ctx, target.ID); err != nil || commit != sha("1") || failed {
		t.Errorf("synced to %q, failed %v, %v", commit, failed, err)
	}
	// The same is brought once more, and then something else, and Tagboat dies over it.
	w.must(w.store.StartTarget(w.ctx, kept, store.TargetApplying, "Applying.", kept.RenderedHash))
	if kept, err = w.store.Target(w.ctx, target.ID); err != nil || len(kept.Violations) != 1 {
		t.Errorf("brought again: %+v, %v", kept, err)
	}
	w.must(w.store.StartTarget(w.ctx, kept, store.TargetApplying, "Applying.", "another"))
	if kept, err = w.store.Target(w.ctx, target.ID); err != nil || len(kept.Violations) != 0 || kept.RenderedHash != "another" {
		t.Errorf("what was measured of something else is kept: %+v, %v", kept, err)
	}
	w.must(w.store.FinishSync(w.ctx, kept, 0, store.Reached{Commit: sha("1"), Digest: digest("a"), State: store.TargetHealthy}, after))
	if kept, err = w.store.Target(w.ctx, target.ID); err != nil || len(kept.Violations) != 0 || kept.HealthySince == nil {
		t.Errorf("then %+v, %v", kept, err)
	}
}

// What a target was brought stays there until something else is written; what was broken
// off may have been.
func TestWhatATargetWasBrought(t *testing.T) {
	w := newWorld(t)
	target := w.target("prod", "eu")
	for _, step := range []struct {
		story   string
		attempt func()
		want    string
	}{
		{"1 is healthy", func() { w.synced(target, "1", store.Reached{State: store.TargetHealthy, Changed: 3}) }, sha("1")},
		{"2 is refused", func() { w.synced(target, "2", store.Reached{State: store.TargetFailed}) }, sha("1")},
		{"3 is begun", func() { w.begun(target, "3") }, sha("1")},
		{"3 was broken off when 4 is begun", func() { w.begun(target, "4") }, ""},
		{"5 waits for a measurement", func() { w.synced(target, "5", store.Reached{State: store.TargetWaiting}) }, sha("5")},
		{"6 has written one object", func() { w.synced(target, "6", store.Reached{State: store.TargetFailed, Changed: 1}) }, ""},
	} {
		step.attempt()
		if got, err := w.store.BroughtWhole(w.ctx, target.ID); err != nil || got != step.want {
			t.Errorf("%s: it was brought %q, want %q (%v)", step.story, got, step.want, err)
		}
	}
}

// While a sync of the same digest is under way, what is healthy stays healthy.
func TestASyncShowsWhatItDoes(t *testing.T) {
	w := newWorld(t)
	target := w.target("prod", "eu")
	first, err := w.store.StartSync(w.ctx, target.ID, sha("1"), "1.7.0", digest("a"))
	w.must(err)
	w.must(w.store.StartTarget(w.ctx, target, store.TargetApplying, "Applying.", "r"))
	// The process dies here. The next one begins anew.
	second, err := w.store.StartSync(w.ctx, target.ID, sha("1"), "1.7.0", digest("a"))
	w.must(err)
	w.must(w.store.FinishSync(w.ctx, target, second, store.Reached{
		Commit: sha("1"), RenderedHash: "r", Image: payments, Tag: "1.7.0", Digest: digest("a"), State: store.TargetHealthy, Changed: 3,
	}, after))
	syncs, err := w.store.RecentSyncs(w.ctx, target.ID, 10)
	w.must(err)
	var got []string
	for _, s := range syncs {
		got = append(got, fmt.Sprintf("%d %s %d", s.ID, s.State, s.Changed))
		if s.FinishedAt == nil || (s.ID == first && s.Message == "") {
			t.Errorf("sync %d does not say when it ended, or why: %+v", s.ID, s)
		}
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("%d healthy 3", second), fmt.Sprintf("%d interrupted 0", first)}, got); diff != "" {
		t.Error(diff)
	}
	after, err := w.store.Target(w.ctx, target.ID)
	w.must(err)
	if after.State != store.TargetHealthy || after.Tag != "1.7.0" || after.RenderedHash != "r" || after.CommitSHA != sha("1") {
		t.Errorf("the target is %+v", after)
	}
}

// A change in a cluster wakes whoever may wait for it; no change wakes nobody.
func TestAChangedTargetWakesItsApp(t *testing.T) {
	w := newWorld(t)
	target := w.target("staging", "eu")
	prod := w.propose("prod", w.artifact("1.7.0", digest("a")))
	want := func() int64 { return w.promotion(prod.ID).Want }
	before := want()
	healthy := store.Reached{Commit: sha("1"), Digest: digest("a"), State: store.TargetHealthy}
	w.must(w.store.FinishSync(w.ctx, target, 0, healthy, after))
	if want() != before+1 {
		t.Errorf("prod waits for staging, and was woken %d times", want()-before)
	}
	target, err := w.store.Target(w.ctx, target.ID)
	w.must(err)
	w.must(w.store.FinishSync(w.ctx, target, 0, healthy, after))
	if want() != before+1 {
		t.Error("a sync that changed nothing woke somebody")
	}
}

// Whoever looked while a failed version was tried again has read that it is being applied.
func TestATryThatFailsAgainWakesItsApp(t *testing.T) {
	w := newWorld(t)
	prod := w.propose("prod", w.artifact("1.7.0", digest("a")))
	failed := store.Reached{Commit: sha("1"), Digest: digest("a"), State: store.TargetFailed, Message: "Pods crash.", Ill: true}
	try := func() {
		target := w.target("staging", "eu")
		id, err := w.store.StartSync(w.ctx, target.ID, sha("1"), "1.7.0", digest("a"))
		w.must(err)
		w.must(w.store.StartTarget(w.ctx, target, store.TargetApplying, "Applying.", ""))
		w.must(w.store.FinishSync(w.ctx, target, id, failed, after))
	}
	try()
	before := w.promotion(prod.ID).Want
	try()
	if got := w.promotion(prod.ID).Want; got != before+1 {
		t.Errorf("prod may have read that staging is applying, and was woken %d times", got-before)
	}
}

func TestHealthySince(t *testing.T) {
	at := func(minute int) *time.Time {
		t := time.Date(2026, 3, 5, 9, minute, 0, 0, time.UTC)
		return &t
	}
	healthy := func(digest string, since *time.Time) store.Target {
		return store.Target{State: store.TargetHealthy, Digest: digest, HealthySince: since, HealthySeen: at(9)}
	}
	for story, c := range map[string]struct {
		targets []store.Target
		since   *time.Time
	}{
		"no cluster proves nothing":              {},
		"one cluster":                            {[]store.Target{healthy("a", at(1))}, at(1)},
		"the last of three counts":               {[]store.Target{healthy("a", at(1)), healthy("a", at(5)), healthy("a", at(3))}, at(5)},
		"one of them runs something else":        {[]store.Target{healthy("a", at(1)), healthy("b", at(2))}, nil},
		"one of them failed":                     {[]store.Target{healthy("a", at(1)), {State: store.TargetFailed, Digest: "a", HealthySince: at(1)}}, nil},
		"one of them is being changed":           {[]store.Target{{State: store.TargetWaiting, Digest: "a"}, healthy("a", at(1))}, nil},
		"healthy, but nobody knows for how long": {[]store.Target{healthy("a", nil)}, nil},
		"healthy, when somebody last looked":     {[]store.Target{healthy("a", at(1)), {State: store.TargetHealthy, Digest: "a", HealthySince: at(1), HealthySeen: at(-12)}}, nil},
	} {
		since, ok := store.HealthySince(c.targets, *at(9))
		if ok != (c.since != nil) || ok && !since.Equal(*c.since) {
			t.Errorf("%s: %v, %v", story, since, ok)
		}
	}
}

func TestACommitWakesOnlyTheTargetsThatItCanChange(t *testing.T) {
	w := newWorld(t)
	named := []store.NewTarget{
		{App: "payments", Env: "prod", Cluster: "eu", Branch: "main"}, {App: "payments", Env: "prod", Cluster: "us", Branch: "main", SameAs: sha("1")},
	}
	wanted := func() (times []int64) {
		targets, err := w.store.TargetsOfPair(w.ctx, w.repo.ID, "payments", "prod")
		w.must(err)
		for _, target := range targets {
			times = append(times, target.Want)
		}
		return times
	}
	bring := func(commit string) {
		targets, err := w.store.TargetsOfPair(w.ctx, w.repo.ID, "payments", "prod")
		w.must(err)
		for _, target := range targets {
			w.must(w.store.FinishSync(w.ctx, target, 0, store.Reached{Commit: commit, Digest: digest("a"), State: store.TargetHealthy}, after))
		}
	}
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, "first", named, syncing))
	if diff := cmp.Diff([]int64{1, 1}, wanted()); diff != "" {
		t.Errorf("nobody has looked at them yet:\n%s", diff)
	}
	bring(sha("1"))
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, "second", named, syncing))
	if diff := cmp.Diff([]int64{2, 1}, wanted()); diff != "" {
		t.Errorf("us renders the same:\n%s", diff)
	}
	bring(sha("2")) // a merge brought it on before the survey
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, "third", named, syncing))
	if diff := cmp.Diff([]int64{3, 2}, wanted()); diff != "" {
		t.Errorf("it is at another commit than it was compared with:\n%s", diff)
	}
}

// A merge, syncs that end, surveys that begin: they touch the same rows, and never
// wait for each other in a circle.
func TestNobodyWaitsInACircle(t *testing.T) {
	w := newWorld(t)
	named := []store.NewTarget{
		{App: "payments", Env: "prod", Cluster: "us", Branch: "main"}, {App: "payments", Env: "prod", Cluster: "eu", Branch: "main"},
	}
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, rand.Text(), named, syncing))
	targets, err := w.store.TargetsOfPair(w.ctx, w.repo.ID, "payments", "prod")
	w.must(err)
	stop := make(chan struct{})
	var group sync.WaitGroup
	forever := func(do func(round int) error) {
		group.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := do(round); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, target := range targets {
		forever(func(round int) error {
			return w.store.FinishSync(w.ctx, target, 0, store.Reached{State: store.TargetHealthy, Digest: digest("a"), Message: fmt.Sprint(round)}, after)
		})
	}
	forever(func(int) error { return w.store.KeepTargets(w.ctx, w.repo.ID, rand.Text(), named, syncing) })
	forever(func(int) error { return w.store.WakeRepo(w.ctx, w.repo.ID, reconcile) })
	for i := range 25 {
		p := w.open("prod", w.artifact(fmt.Sprintf("1.%d.0", i), digest(fmt.Sprint(i%10))), i+1, sha(fmt.Sprint(i%10)))
		w.review(p, int64(i), bob, "APPROVED", p.HeadSHA)
		w.merge(p, tagboat, sha("9"))
		w.must(w.store.RecordOvertaken(w.ctx, p))
	}
	close(stop)
	group.Wait()
}

// begun begins an attempt to bring a commit.
func (w *world) begun(t store.Target, commit string) int64 {
	w.Helper()
	id, err := w.store.StartSync(w.ctx, t.ID, sha(commit), "1.7.0", digest("a"))
	w.must(err)
	return id
}

// synced is an attempt that came to its end.
func (w *world) synced(t store.Target, commit string, r store.Reached) {
	w.Helper()
	r.Commit, r.Digest = sha(commit), digest("a")
	w.must(w.store.FinishSync(w.ctx, t, w.begun(t, commit), r, after))
}
