package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store"
)

// seen is acme/env as GitHub shows it at first, changed.
func seen(change func(r *store.SeenRepo)) store.SeenRepo {
	r := store.SeenRepo{GitHubID: 501, Owner: "acme", Name: "env", Installation: 77, DefaultBranch: "main"}
	if change != nil {
		change(&r)
	}
	return r
}

// A repository is its number: under another name it keeps what hangs on it, and who
// takes over its name gets nothing of that.
func TestARepositoryIsItsNumber(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))

	renamed := w.seeRepo(seen(func(r *store.SeenRepo) { r.Name = "gitops" }))
	if renamed.ID != w.repo.ID || renamed.Name != "gitops" || renamed.Mark != "acme/env" {
		t.Fatalf("after the rename it is %+v", renamed)
	}
	if diff := cmp.Diff([]string{"acme/env", "acme/gitops"}, renamed.Names); diff != "" {
		t.Errorf("the names that it had first: %s", diff)
	}
	usurper := w.seeRepo(seen(func(r *store.SeenRepo) { r.GitHubID = 900 }))
	if usurper.ID == w.repo.ID || len(usurper.Names) != 0 || usurper.Mark != "acme/env#900" || usurper.PresenceNote == "" {
		t.Errorf("whoever took over the name is %+v", usurper)
	}
	for number, want := range map[int64]int64{501: w.repo.ID, 900: usurper.ID} {
		if r, err := w.store.RepoByGitHubID(w.ctx, number); err != nil || r.ID != want {
			t.Errorf("number %d is %+v, %v", number, r, err)
		}
	}
	if got, err := w.store.PromotionByPull(w.ctx, renamed.ID, 7); err != nil || got.ID != p.ID {
		t.Errorf("its promotion is %+v, %v", got, err)
	}
	// Names that are given back and forth stay with whoever had them first.
	usurper = w.seeRepo(seen(func(r *store.SeenRepo) { r.GitHubID, r.Name = 900, "spare" }))
	if diff := cmp.Diff([]string{"acme/spare"}, usurper.Names); diff != "" {
		t.Error(diff)
	}
	if back := w.seeRepo(seen(nil)); back.ID != w.repo.ID || len(back.Names) != 2 {
		t.Errorf("back under its first name it is %+v", back)
	}
}

// One that another has taken the name from, before it was seen under its new one, is
// away until it is; nobody confuses the two meanwhile.
func TestANameThatAnotherHasIsTakenFromItsHolder(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	usurper := w.seeRepo(seen(func(r *store.SeenRepo) { r.GitHubID = 900 }))
	was, err := w.store.Repo(w.ctx, w.repo.ID)
	w.must(err)
	if was.Presence != store.PresenceRemoved || was.PresenceNote == "" {
		t.Errorf("whoever lost the name is %+v", was)
	}
	if got := w.promotion(p.ID); got.Want == p.Want {
		t.Error("nobody looks at its promotion")
	}
	if r, err := w.store.RepoByName(w.ctx, "acme", "env"); err != nil || r.ID != usurper.ID {
		t.Errorf("acme/env is %+v, %v", r, err)
	}
	back := w.seeRepo(seen(func(r *store.SeenRepo) { r.Name = "gitops" }))
	if back.ID != w.repo.ID || back.Presence != store.PresenceInstalled || back.PresenceNote != "" {
		t.Errorf("seen again it is %+v", back)
	}
}

// What is away is kept, with since when and why, and is surveyed anew when it is back.
func TestWhatIsAwayIsKept(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, "head", []store.NewTarget{{App: "payments", Env: "prod", Cluster: "prod", Branch: "main"}}, syncing))
	w.clock.pass(time.Hour)
	for _, presence := range []string{store.PresenceSuspended, store.PresenceRemoved} {
		before := w.promotion(p.ID)
		w.must(w.store.RepoAway(w.ctx, w.repo.ID, presence, "", reconcile))
		w.must(w.store.RepoAway(w.ctx, w.repo.ID, presence, "", reconcile)) // told twice, it is once
		away, err := w.store.Repo(w.ctx, w.repo.ID)
		w.must(err)
		if away.Presence != presence || !away.PresenceSince.Equal(w.clock.now()) || store.Readable(away) {
			t.Errorf("away it is %+v", away)
		}
		if after := w.promotion(p.ID); after.Want != before.Want+1 {
			t.Errorf("%s: its promotion was woken %d times", presence, after.Want-before.Want)
		}
		w.must(w.store.WantStale(w.ctx, w.clock.now(), func(target store.Target) river.JobArgs {
			t.Errorf("target %d is wanted", target.ID)
			return syncing(target)
		}))
	}
	for image, want := range map[string]bool{payments: true, "registry.example.com/acme/other": false} {
		if used, err := w.store.UsedAway(w.ctx, image); err != nil || used != want {
			t.Errorf("%s is used by one that is away: %v, %v", image, used, err)
		}
	}
	back := w.seeRepo(seen(func(r *store.SeenRepo) { r.Installation = 99 }))
	if used, err := w.store.UsedAway(w.ctx, payments); err != nil || used {
		t.Errorf("nobody is away, and yet: %v, %v", used, err)
	}
	if back.Presence != store.PresenceInstalled || back.Surveyed != "" || back.InstallationID != 99 {
		t.Errorf("back it is %+v", back)
	}
	if targets, err := w.store.Targets(w.ctx); err != nil || len(targets) != 1 || targets[0].Gone {
		t.Errorf("its targets are %+v, %v", targets, err)
	}
	archived := w.seeRepo(seen(func(r *store.SeenRepo) { r.Archived = true }))
	if archived.Presence != store.PresenceArchived || !store.Readable(archived) {
		t.Errorf("archived it is %+v", archived)
	}
}

// An env repo that is only configured becomes the repository that is found under its
// name; the name is not given away twice.
func TestAConfiguredNameBecomesARepository(t *testing.T) {
	w := newWorld(t)
	for _, first := range []bool{true, false} {
		if missed, err := w.store.MissRepo(w.ctx, "acme", "other"); err != nil || missed != first {
			t.Errorf("missed = %v, %v", missed, err)
		}
	}
	waiting, err := w.store.RepoByName(w.ctx, "acme", "other")
	w.must(err)
	if waiting.Presence != store.PresenceRemoved || waiting.GithubID != nil {
		t.Errorf("before it is installed it is %+v", waiting)
	}
	if found := w.envRepo("other"); found.ID != waiting.ID || found.Presence != store.PresenceInstalled || found.GithubID == nil {
		t.Errorf("installed it is %+v", found)
	}
}

// What was stopped in an env repo, or in all of its owner's, stays stopped under another
// owner or another name of the owner.
func TestStopsGoWithTheRepository(t *testing.T) {
	w := newWorld(t)
	prod := store.Scope{Owner: "acme", Repo: w.repo.ID, Env: "prod"}
	w.must(w.store.Stop(w.ctx, store.NewStop{Scope: prod, By: alice, Reason: "holidays"}, reconcile))
	w.must(w.store.Stop(w.ctx, store.NewStop{Scope: store.Scope{Owner: "acme"}, By: bob, Reason: "incident"}, reconcile))
	moved := w.seeRepo(seen(func(r *store.SeenRepo) { r.Owner, r.Installation = "globex", 78 }))
	reasons := func(env string) (reasons []string) {
		rows, err := w.store.Stops(w.ctx, store.Scope{Owner: moved.Owner, Repo: moved.ID, Env: env, App: "payments"})
		w.must(err)
		for _, r := range rows {
			reasons = append(reasons, r.Reason)
		}
		return reasons
	}
	if diff := cmp.Diff([]string{"incident", "holidays"}, reasons("prod")); diff != "" {
		t.Error(diff)
	}
	for _, scope := range []store.Scope{{Owner: "globex", Repo: moved.ID, Env: "prod"}, {Owner: "globex", Repo: moved.ID}} {
		if _, err := w.store.Lift(w.ctx, scope, alice, 0, reconcile); err != nil {
			t.Errorf("lift %+v: %v", scope, err)
		}
	}
	if left := reasons("prod"); left != nil {
		t.Errorf("it is still stopped: %v", left)
	}
}

// When a configuration broke is kept while it says other things, and until it is mended.
func TestSinceWhenAConfigurationIsBroken(t *testing.T) {
	w := newWorld(t)
	broke := w.clock.now()
	w.must(w.store.SetConfigError(w.ctx, w.repo.ID, "tagboat.yaml:3: no environments"))
	w.clock.pass(time.Hour)
	w.must(w.store.SetConfigError(w.ctx, w.repo.ID, "tagboat.yaml:4: no apps"))
	w.must(w.store.RecordConfigTold(w.ctx, w.repo, 5, sha("1")))
	r, err := w.store.Repo(w.ctx, w.repo.ID)
	w.must(err)
	if r.ConfigErrorSince == nil || !r.ConfigErrorSince.Equal(broke) || r.ConfigTold != sha("1") {
		t.Errorf("broken it is %+v", r)
	}
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, "head", nil, syncing))
	if r, err = w.store.Repo(w.ctx, w.repo.ID); err != nil || r.ConfigErrorSince != nil || r.ConfigError != "" || r.ConfigTold != "" {
		t.Errorf("mended it is %+v, %v", r, err)
	}
}
