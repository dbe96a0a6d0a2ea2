package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// set is the wish to have 1.7.0 of some apps in prod as one.
func (w *world) set(by store.Actor, a store.Artifact, apps ...string) store.NewSet {
	in := store.NewSet{Repo: w.repo.ID, Env: "prod", Origin: "staging", Requester: by, Branch: "tagboat/prod/_from-staging", BaseBranch: "main"}
	for _, app := range apps {
		in.Members = append(in.Members, store.NewMember{App: app, Artifact: a.ID, Reason: by.Login + " asked for what is proven in staging."})
	}
	return in
}

func (w *world) proposeSet(in store.NewSet) store.ProposedSet {
	w.Helper()
	out, err := w.store.ProposeSet(w.ctx, in, reconcile)
	w.must(err)
	return out
}

// openSet proposes a set and opens its pull request #7.
func (w *world) openSet(by store.Actor, a store.Artifact, apps ...string) []store.Promotion {
	w.Helper()
	all := w.proposeSet(w.set(by, a, apps...)).Promotions
	c := w.commit(a, sha("1"))
	var others []store.Carried
	for i, p := range all {
		w.must(w.store.KeepHead(w.ctx, p.ID, c))
		if i > 0 {
			others = append(others, store.Carried{Promotion: p, Commit: c})
		}
	}
	w.must(w.store.RecordOpened(w.ctx, all[0], c, store.Opened{Number: 7, URL: "https://github.example/pull", Body: "body", BodyHash: "hash"}, others...))
	for i, p := range all {
		all[i] = w.promotion(p.ID)
	}
	return all
}

func (w *world) states(all []store.Promotion) (states []string) {
	w.Helper()
	for _, p := range all {
		now := w.promotion(p.ID)
		states = append(states, now.App+" "+now.State+" "+now.PullState)
	}
	return states
}

func (w *world) wants(want []string, all []store.Promotion) {
	w.Helper()
	if diff := cmp.Diff(want, w.states(all)); diff != "" {
		w.Errorf("(-want +got)\n%s", diff)
	}
}

// The first acts for all; each is a promotion like any other.
func TestASetIsProposedAsOne(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	out := w.proposeSet(w.set(alice, a, "payments", "shop", "web"))
	if !out.Fresh || len(out.Promotions) != 3 {
		t.Fatalf("%+v", out)
	}
	leader := out.Promotions[0]
	for i, p := range out.Promotions {
		if p.SetID == nil || *p.SetID != *leader.SetID || (i == 0) != (p.LedBy == nil) || i > 0 && *p.LedBy != leader.ID || p.RequesterID != alice.ID || p.Branch != leader.Branch {
			t.Errorf("%s: %+v", p.App, p)
		}
		together, err := w.store.Together(w.ctx, p)
		w.must(err)
		if len(together) != 3 || together[0].ID != leader.ID {
			t.Errorf("with %s goes %+v", p.App, together)
		}
	}
	if set, err := w.store.SetOf(w.ctx, out.Promotions[2].ID); err != nil || set.Origin != "staging" || set.Branch != leader.Branch {
		t.Errorf("the set is %+v, %v", set, err)
	}
	if n := w.jobs("reconcile"); n != 1 {
		t.Errorf("%d looks are wanted, want 1", n)
	}
	alone := w.propose("dev", a)
	if _, err := w.store.SetOf(w.ctx, alone.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a promotion by itself has a set: %v", err)
	}
	if together, err := w.store.Together(w.ctx, alone); err != nil || len(together) != 1 {
		t.Errorf("with one by itself goes %+v, %v", together, err)
	}

	// The same wish again only counts who asked.
	again := w.proposeSet(w.set(bob, a, "payments", "shop", "web"))
	if again.Fresh || again.Promotions[0].ID != leader.ID {
		t.Errorf("asked for again: %+v", again)
	}
	for _, p := range out.Promotions {
		if asked, err := w.store.Requesters(w.ctx, p.ID); err != nil || len(asked) != 2 {
			t.Errorf("%s was asked for by %v, %v", p.App, asked, err)
		}
	}
}

// All of it is proposed, or nothing.
func TestASetTakesNobodysPlace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		there func(w *world, a store.Artifact)
		apps  []string
		says  string
	}{
		{"an app is on its way by itself", func(w *world, a store.Artifact) { w.open("prod", a, 9, sha("9")) }, []string{"payments", "shop"},
			"payments is on its way to prod in #9 already."},
		{"with others", func(w *world, a store.Artifact) { w.openSet(alice, a, "payments", "shop") }, []string{"payments", "shop", "web"},
			"payments is on its way to prod in #7, and shop is on its way to prod in #7 already."},
		{"as another version", func(w *world, a store.Artifact) {
			w.openSet(alice, w.artifact("1.6.0", digest("6")), "payments", "shop")
		}, []string{"payments", "shop"},
			"shop is on its way to prod in #7 already."},
		{"other apps are on their way from there", func(w *world, a store.Artifact) { w.openSet(alice, a, "payments", "shop") }, []string{"web", "catalog"},
			"Other apps of staging are on their way to prod together in #7."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.artifact("1.7.0", digest("a"))
			tt.there(w, a)
			before := w.count("SELECT count(*) FROM promotion")
			_, err := w.store.ProposeSet(w.ctx, w.set(bob, a, tt.apps...), reconcile)
			if !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), tt.says) {
				t.Errorf("it is told %q (%v), not %q", fault.HintOf(err), err, tt.says)
			}
			if after := w.count("SELECT count(*) FROM promotion"); after != before {
				t.Errorf("there are %d promotions, and were %d", after, before)
			}
		})
	}
}

// What was proven together is not changed in parts; only a rollback goes first, and ends
// all of it.
func TestNothingTakesThePlaceOfOneOfASet(t *testing.T) {
	w := newWorld(t)
	a, newer := w.artifact("1.7.0", digest("a")), w.artifact("1.8.0", digest("b"))
	all := w.openSet(alice, a, "payments", "shop")
	own := w.proposal("prod", newer)
	if out, err := w.store.Propose(w.ctx, own, reconcile); err != nil || out.Fresh {
		t.Errorf("Tagboat's own proposal: %+v, %v", out, err)
	}
	own.Requester = bob
	if _, err := w.store.Propose(w.ctx, own, reconcile); !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "payments is on its way to prod in #7, together with other apps.") {
		t.Errorf("a person's: %v", err)
	}
	w.wants([]string{"payments open open", "shop open open"}, all)

	out, err := w.store.Propose(w.ctx, w.goingBack(w.artifact("1.5.0", digest("5")), a, bob), reconcile)
	w.must(err)
	if !out.Fresh || out.Promotion.PullNumber != 0 || out.Promotion.SetID != nil {
		t.Errorf("the rollback is %+v", out)
	}
	w.wants([]string{"payments closed open", "shop closed open"}, all) // open until somebody closes it on GitHub
	if n := w.jobs("reconcile"); n < 3 {
		t.Errorf("%d looks are wanted: of the rollback, and of what it ended", n)
	}
	// Until then nobody takes its branch, and so its pull request, over.
	if _, err := w.store.ProposeSet(w.ctx, w.set(bob, newer, "web", "catalog"), reconcile); !fault.Is(err, fault.Conflict) {
		t.Errorf("another set on its branch: %v", err)
	}
	for range 2 {
		w.must(w.store.RecordPullClosed(w.ctx, w.promotion(all[0].ID)))
	}
	if n := w.count("SELECT count(*) FROM audit WHERE action = 'pull request closed'"); n != 1 {
		t.Errorf("the log has %d times that it was closed", n)
	}
	w.wants([]string{"payments closed closed", "shop closed closed"}, all)
	if used, err := w.store.BranchWanted(w.ctx, w.repo.ID, all[0].Branch); err != nil || used {
		t.Errorf("the branch is wanted: %t, %v", used, err)
	}
	if out := w.proposeSet(w.set(bob, newer, "web", "catalog")); !out.Fresh {
		t.Errorf("another set afterwards: %+v", out)
	}
}

// Whatever is told of the pull request is told of all that it carries.
func TestWhatIsToldOfASetsPullRequestIsToldOfAll(t *testing.T) {
	w := newWorld(t)
	all := w.openSet(alice, w.artifact("1.7.0", digest("a")), "payments", "shop")
	if p, err := w.store.PromotionByPull(w.ctx, w.repo.ID, 7); err != nil || p.ID != all[0].ID {
		t.Errorf("#7 is %+v, %v", p, err)
	}
	w.must(w.store.SawPull(w.ctx, all[0].ID, store.SeenPull{HeadSHA: sha("2"), Body: "body"}))
	w.must(w.store.RecordReview(w.ctx, all[0].ID, store.NewReview{ReviewID: 5, Reviewer: bob, State: "APPROVED", HeadSHA: sha("1"), SubmittedAt: w.clock.now()}, 0, reconcile))
	for _, p := range all {
		if now := w.promotion(p.ID); now.SeenHeadSHA != sha("2") || now.PullState != "open" {
			t.Errorf("%s is seen as %+v", p.App, now)
		}
		reviews, err := w.store.Reviews(w.ctx, p.ID)
		w.must(err)
		if len(reviews) != 1 || reviews[0].Digest != digest("a") || reviews[0].EditHash != "edit 1.7.0" {
			t.Errorf("%s has the reviews %+v", p.App, reviews)
		}
		if earlier, err := w.store.EarlierReviews(w.ctx, p.ID); err != nil || len(earlier) != 0 {
			t.Errorf("%s has reviews from before: %+v, %v", p.App, earlier, err)
		}
	}
	w.must(w.store.RecordTicks(w.ctx, all[0].ID, []store.NewTick{{Item: "dashboards", Checked: true}}, bob, "body, ticked", 0, reconcile))
	for _, p := range all {
		if ticks, err := w.store.Ticks(w.ctx, p.ID); err != nil || len(ticks) != 1 || ticks[0].Actor != "bob" {
			t.Errorf("%s has the ticks %+v, %v", p.App, ticks, err)
		}
	}
	reviews, err := w.store.Reviews(w.ctx, all[0].ID)
	w.must(err)
	w.must(w.store.AnnounceDismissal(w.ctx, all[0].ID, 5))
	w.must(w.store.RecordDismissal(w.ctx, w.promotion(all[0].ID), all[0].ID, reviews[0], store.DismissalDone, "another commit"))
	for _, p := range all {
		if reviews, err := w.store.Reviews(w.ctx, p.ID); err != nil || len(reviews) != 2 || reviews[1].State != "DISMISSED" {
			t.Errorf("%s has the reviews %+v, %v", p.App, reviews, err)
		}
	}
}

// Whoever wakes one of a set wakes the one that acts for it, while there is something to
// act for.
func TestWakingOneOfASetWakesWhoActsForIt(t *testing.T) {
	w := newWorld(t)
	all := w.openSet(alice, w.artifact("1.7.0", digest("a")), "payments", "shop")
	before := w.promotion(all[0].ID).Want
	w.must(w.store.Wake(w.ctx, all[1].ID, reconcile))
	if now := w.promotion(all[0].ID).Want; now != before+1 {
		t.Errorf("payments is wanted %d times, and was %d", now, before)
	}
	w.must(w.store.RecordClosed(w.ctx, all[0], "There is nothing to change."))
	w.must(w.store.Wake(w.ctx, all[1].ID, reconcile))
	if now := w.promotion(all[0].ID).Want; now != before+1 {
		t.Errorf("payments has ended, and is wanted %d times", now)
	}
}

// One commit merges all: in one transaction, each with its own grounds.
func TestASetIsMergedAsOne(t *testing.T) {
	w := newWorld(t)
	all := w.openSet(alice, w.artifact("1.7.0", digest("a")), "payments", "shop")
	w.target("prod", "eu")
	w.must(w.store.Merge(w.ctx, w.repo.ID, "prod", func(m store.Merging) error {
		var merges []store.Merge
		for _, p := range all {
			merges = append(merges, store.Merge{Promotion: p, By: alice, Grounds: store.Grounds{
				Pull: p.PullNumber, Head: p.SeenHeadSHA, Set: &store.InSet{ID: *p.SetID, Origin: "staging", Apps: []string{"payments", "shop"}},
			}})
		}
		return m.MergedTogether(w.ctx, sha("9"), merges, syncing)
	}))
	w.wants([]string{"payments merged merged", "shop merged merged"}, all)
	if n := w.count(`SELECT count(*) FROM audit WHERE action = 'merged' AND sha = $1 AND inputs::jsonb->'set'->>'origin' = 'staging'`, sha("9")); n != 2 {
		t.Errorf("the log has the merge %d times", n)
	}
	if n := w.jobs("sync"); n == 0 {
		t.Error("no cluster is wanted brought to it")
	}
	if _, err := w.store.VerifyAudit(w.ctx); err != nil {
		t.Error(err)
	}
}

// A rollback may be asked for when the set was merged and the answer to that was lost: what
// was merged is written down still, and what was closed is not.
func TestASetThatARollbackWentBeforeMayBeMerged(t *testing.T) {
	for state, want := range map[string][]string{
		"open":   {"payments merged merged", "shop merged merged"},
		"closed": {"payments closed closed", "shop closed closed"},
	} {
		t.Run(state, func(t *testing.T) {
			w := newWorld(t)
			a := w.artifact("1.7.0", digest("a"))
			all := w.openSet(alice, a, "payments", "shop")
			w.must(w.store.Merge(w.ctx, w.repo.ID, "prod", func(m store.Merging) error { return m.Queued(w.ctx, all[0], store.Grounds{}) }))
			_, err := w.store.Propose(w.ctx, w.goingBack(w.artifact("1.5.0", digest("5")), a, bob), reconcile)
			w.must(err)
			if n := w.count("SELECT count(*) FROM queued"); n != 0 {
				t.Errorf("%d wait in the queue", n)
			}
			if state == "closed" {
				w.must(w.store.RecordPullClosed(w.ctx, all[0]))
			}
			w.must(w.store.Merge(w.ctx, w.repo.ID, "prod", func(m store.Merging) error {
				return m.MergedTogether(w.ctx, sha("9"), []store.Merge{{Promotion: all[0], By: alice}, {Promotion: all[1], By: alice}}, syncing)
			}))
			w.wants(want, all)
		})
	}
}

// A merge that fails half-way has merged nothing.
func TestASetIsNeverMergedInParts(t *testing.T) {
	w := newWorld(t)
	all := w.openSet(alice, w.artifact("1.7.0", digest("a")), "payments", "shop")
	err := w.store.Merge(w.ctx, w.repo.ID, "prod", func(m store.Merging) error {
		if err := m.MergedTogether(w.ctx, sha("9"), []store.Merge{{Promotion: all[0], By: alice}}, syncing); err != nil {
			return err
		}
		return fmt.Errorf("the process was killed")
	})
	if err == nil {
		t.Fatal("the merge succeeded")
	}
	w.wants([]string{"payments open open", "shop open open"}, all)
}

// Closing the one pull request holds every app, and asking for the set again ends all the
// holds.
func TestClosingASetHoldsAllOfIt(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	all := w.openSet(alice, a, "payments", "shop")
	w.must(w.store.RecordClosedBy(w.ctx, all[0], store.Closing{By: bob, Owner: "acme", Why: "bob closed it."}))
	w.wants([]string{"payments closed closed", "shop closed closed"}, all)
	if n := w.count("SELECT count(*) FROM stop WHERE closed_pull = 7 AND lifted_at IS NULL"); n != 2 {
		t.Errorf("%d apps are held", n)
	}
	left, err := w.store.Leftovers(w.ctx)
	w.must(err)
	for _, p := range left {
		w.must(w.store.RecordBranchDeleted(w.ctx, p, true))
	}
	if left, err = w.store.Leftovers(w.ctx); err != nil || len(left) != 1 || left[0].ID != all[0].ID {
		t.Errorf("bob is told %d times what it means (%v)", len(left), err)
	}
	again := w.proposeSet(w.set(alice, a, "payments", "shop"))
	if !again.Fresh || len(again.Lifted) != 2 {
		t.Errorf("asked for again: %+v", again)
	}
	if n := w.count("SELECT count(*) FROM stop WHERE lifted_at IS NULL"); n != 0 {
		t.Errorf("%d apps are held still", n)
	}
}

// What went as one comes back as one: held and denied each.
func TestASetComesBackAsOne(t *testing.T) {
	w := newWorld(t)
	good, bad := w.artifact("1.6.0", digest("6")), w.artifact("1.7.0", digest("a"))
	w.open("prod", w.artifact("1.8.0", digest("8")), 9, sha("8")) // of payments, which gives way
	in := w.set(bob, good, "payments", "shop")
	in.Branch = "tagboat/prod/_back-1"
	for i := range in.Members {
		in.Members[i].Back = &store.NewRollback{BadTag: bad.Tag, BadDigest: bad.Digest, Reason: "it returns errors", Reverts: []string{sha("9")}}
	}
	out := w.proposeSet(in)
	if !out.Fresh || out.Promotions[1].Kind != store.KindRollback {
		t.Fatalf("the rollback is %+v", out)
	}
	if p, err := w.store.PromotionByPull(w.ctx, w.repo.ID, 9); err != nil || p.State != "closed" || p.PullState != "open" {
		t.Errorf("what was on its way is %+v, %v", p, err)
	}
	w.must(w.store.RecordFulfilled(w.ctx, out.Promotions[0], sha("7"), "The base branch already has it."))
	for _, app := range []string{"payments", "shop"} {
		if _, denied, err := w.store.Denial(w.ctx, w.repo.ID, app, "prod", bad.Image, bad.Digest); err != nil || !denied {
			t.Errorf("1.7.0 is not denied to %s (%v)", app, err)
		}
		stops, err := w.store.Stops(w.ctx, store.Scope{Owner: "acme", Repo: w.repo.ID, Env: "prod", App: app})
		if err != nil || !slices.ContainsFunc(stops, func(s store.Stop) bool { return s.App == app && s.Actor == "bob" }) {
			t.Errorf("%s is not on hold: %+v, %v", app, stops, err)
		}
	}
}
